# Writes the machine's SSH details where inventory.ini looks for them, each time the machine comes up: the forwarded
# port and the key are Vagrant's to choose, and nobody should have to copy them by hand.
module PlayWithContainers
  class SshConfigFile < Vagrant.plugin("2", :provisioner)
    # ssh_config(5): inside quotes a backslash escapes, and a percent sign begins a token.
    def self.quoted(path)
      path.gsub(/["\\]/) { |sign| "\\#{sign}" }.gsub("%", "%%")
    end

    def provision
      info = @machine.ssh_info
      path = @machine.env.root_path.join(".vagrant", "ssh_config")
      path.write(<<~CONFIG)
        # Made by `vagrant up`. The key of a fresh machine is new each time, so none is remembered.
        Host #{@machine.name}
          HostName #{info[:host]}
          Port #{info[:port]}
          User #{info[:username]}
          IdentityFile "#{self.class.quoted(info[:private_key_path].first)}"
          IdentitiesOnly yes
          UserKnownHostsFile /dev/null
          StrictHostKeyChecking no
          LogLevel ERROR
      CONFIG
    end
  end

  class SshConfigFilePlugin < Vagrant.plugin("2")
    name "ssh_config_file"
    provisioner(:ssh_config_file) { SshConfigFile }
  end
end
