# Chooses Vagrant's provider: PROVIDER, else Vagrant's own variable, else the first one that is usable here.
module PlayWithContainers
  PROVIDERS = {
    "docker" => -> { system("docker", "version", out: File::NULL, err: File::NULL) },
    "libvirt" => lambda {
      system("virsh", "--connect", "qemu:///system", "version", out: File::NULL, err: File::NULL) &&
        Vagrant.has_plugin?("vagrant-libvirt")
    },
    "virtualbox" => -> { system("VBoxManage", "--version", out: File::NULL, err: File::NULL) },
  }.freeze

  def self.choose_provider
    named = [ENV["PROVIDER"], ENV["VAGRANT_DEFAULT_PROVIDER"]].compact.reject(&:empty?).first
    if named && !PROVIDERS.key?(named)
      abort "PROVIDER=#{named} is not known here. Choose one of: #{PROVIDERS.keys.join(', ')}."
    end
    named || PROVIDERS.find { |_, usable| usable.call }&.first || "docker"
  end
end
