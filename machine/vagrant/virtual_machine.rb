# What a virtual machine is made from, and whether it has a processor of its own.
module PlayWithContainers
  MEMORY_MIB = 2048
  EMULATED = "The processor is emulated, ten times slower: no guest boots under KVM here, or LIBVIRT_DRIVER=qemu says so. " \
             "A node in a container has this computer's speed: PROVIDER=docker make up.".freeze
  BUILD_BOX = File.expand_path("../box/build", __dir__)

  # Whether libvirt has to emulate the processor: LIBVIRT_DRIVER says it, or a guest does not boot under KVM here.
  def self.emulated?
    case driver = ENV["LIBVIRT_DRIVER"].to_s
    when "qemu" then true
    when "kvm" then false
    when "" then !run(KVM_WORKS)
    else abort "LIBVIRT_DRIVER=#{driver} is not known here: use kvm, qemu (emulation, slow), or nothing."
    end
  end

  # The box in BOX, else one that `make box` has built, else Debian's own of the catalogue.
  def self.choose_box(vm, emulated)
    return vm.box = ENV["BOX"] unless ENV["BOX"].to_s.empty?

    kinds = [[], ["--docker"]]
    files = (emulated ? kinds.reverse : kinds).map { |kind| IO.popen([BUILD_BOX, "--name-only", *kind], &:read).strip }
    file = files.find { |name| File.exist?("#{name}.sha256") }
    return vm.box = "debian/bookworm64" unless file

    vm.box = File.basename(file, ".box")
    vm.box_url = "file://#{file}"
    vm.box_download_checksum_type = "sha256"
    vm.box_download_checksum = File.read("#{file}.sha256")[/\A\h+/]
  end

  def self.refuse_too_little_memory
    free = File.read("/proc/meminfo")[/^MemAvailable:\s+(\d+)/, 1].to_i / 1024
    return if free > MEMORY_MIB

    abort "A virtual machine takes #{MEMORY_MIB} MiB of memory, and #{free} MiB are available here. Free some, or use a node in a " \
          "container, which takes only what it needs: PROVIDER=docker make up."
  end
end
