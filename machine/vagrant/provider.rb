# Chooses Vagrant's provider: PROVIDER, else that of the machine that is there, else Vagrant's own variable, else the first
# one that works here: a hypervisor that somebody has installed is what they expect Vagrant to use.
require "open3"

module PlayWithContainers
  KVM_WORKS = File.expand_path("../box/kvm_works", __dir__)
  # In the order in which they are tried.
  PROVIDERS = {
    "virtualbox" => "a virtual machine of VirtualBox",
    "libvirt" => "a virtual machine of libvirt",
    "docker" => "a node in a container",
  }.freeze

  def self.works?(provider)
    case provider
    # Without its kernel module it says so, and succeeds.
    when "virtualbox" then run("VBoxManage", "--version")&.include?("WARNING") == false
    when "libvirt"
      run("virsh", "--connect", "qemu:///system", "version") && Vagrant.has_plugin?("vagrant-libvirt") && run(KVM_WORKS)
    else true
    end
  end

  # What a command says; nothing if it fails or is not there.
  def self.run(*command)
    said, ended = Open3.capture2e(*command)
    said if ended.success?
  rescue Errno::ENOENT
    nil
  end

  # The provider, and why it is that one.
  def self.choose_provider(machine_directory)
    made = PROVIDERS.keys.find { |name| File.exist?(File.join(machine_directory, name, "id")) }
    refuse_other_provider(made) if made
    return [made, "as it was made"] if made

    variable = %w[PROVIDER VAGRANT_DEFAULT_PROVIDER].find { |name| !ENV[name].to_s.empty? }
    return [known(variable), "as #{variable} says"] if variable

    first = PROVIDERS.keys.find { |name| works?(name) }
    [first, first == "docker" ? "no hypervisor works here" : "which works here"]
  end

  def self.known(variable)
    return ENV[variable] if PROVIDERS.key?(ENV[variable])

    abort "#{variable}=#{ENV[variable]} is not known here. Choose one of: #{PROVIDERS.keys.join(', ')}."
  end

  def self.refuse_other_provider(made)
    return if ENV["PROVIDER"].to_s.empty? || known("PROVIDER") == made

    abort "The machine is #{PROVIDERS[made]}, and PROVIDER says #{ENV['PROVIDER']}. A machine keeps its provider: unset PROVIDER, or " \
          "`PROVIDER=#{made} vagrant destroy` (its data is lost) and `make up` again."
  end
end
