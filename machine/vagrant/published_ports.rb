# The ports of a container are set when it is made, and Vagrant's docker provider says nothing when they differ.
module PlayWithContainers
  # The port that a variable of the environment names.
  def self.port(variable, default)
    text = ENV.fetch(variable, default.to_s)
    return text.to_i if text.match?(/\A[0-9]{1,5}\z/) && text.to_i.between?(1, 65_535)

    abort "#{variable} is '#{text}', which is no port: use a whole number from 1 to 65535, or unset #{variable}."
  end

  # wanted: name of the environment's variable => [port inside, port outside]
  def self.refuse_other_ports(container, wanted)
    # Vagrant remembers a machine that it could not make, since another program had its port.
    return unless system("docker", "container", "inspect", container, out: File::NULL, err: File::NULL)

    wanted.each do |variable, (inside, outside)|
      published = `docker port #{container} #{inside} 2>/dev/null`[/:(\d+)$/, 1] || bound_port(container, inside)
      next if published.to_i == outside

      made, way = published ? ["with port #{published}", "set #{variable}=#{published}"] : ["without a port", "unset #{variable}"]
      abort "The machine was made #{made} for #{inside}, and #{variable} says #{outside} now. A machine keeps its ports: " \
            "#{way}, or `vagrant destroy` (its data is lost) and `make up` again."
    end
  end

  # Of a machine that is halted: what it was made with.
  def self.bound_port(container, inside)
    `docker inspect --format '{{range (index .HostConfig.PortBindings "#{inside}/tcp")}}{{.HostPort}}{{end}}' #{container} 2>/dev/null`[/\d+/]
  end
end
