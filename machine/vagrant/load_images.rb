# For an emulated machine, which would need an hour to build the images: builds them on this computer and takes them there.
module PlayWithContainers
  class LoadImages < Vagrant.plugin("2", :provisioner)
    def provision
      return unless @machine.provider_name == :libvirt && @machine.provider_config.driver == "qemu"
      return if system(@machine.env.root_path.join("machine", "load_images").to_s, @machine.name.to_s)

      raise Vagrant::Errors::VagrantError.new, "The images could not be taken to the machine; the reason is above."
    end
  end

  class LoadImagesPlugin < Vagrant.plugin("2")
    name "load_images"
    provisioner(:load_images) { LoadImages }
  end
end
