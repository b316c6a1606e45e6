# Completion of tiny for fish.
complete -c tiny -f
for line in \
    'run	run the server in the foreground' \
    'check	load conf.lua and the script and start nothing' \
    'reload	load conf.lua and the script anew' \
    'close	close the running server' \
    'status	say how the running server is' \
    'stack	show the Lua stack of what runs now' \
    'profile	sample the running Lua' \
    'eval	run Lua in the running server' \
    'loglevel	change a log level' \
    'top	watch servers by their feeds' \
    'new	make a new project' \
    'spec	run busted specs inside the runtime'
    set -l parts (string split \t -- $line)
    complete -c tiny -n __fish_use_subcommand -a $parts[1] -d $parts[2]
end
complete -c tiny -s c -r -F -d 'conf.lua'
complete -c tiny -l help -d 'say more'
complete -c tiny -n __fish_use_subcommand -l version
complete -c tiny -n '__fish_seen_subcommand_from run' -l fresh -F -d 'with an empty context'
complete -c tiny -n '__fish_seen_subcommand_from check spec' -F
complete -c tiny -n '__fish_seen_subcommand_from status top' -l json -d 'as JSON'
complete -c tiny -n '__fish_seen_subcommand_from profile' -l svg -r -F -d 'a flame graph'
complete -c tiny -n '__fish_seen_subcommand_from eval' -l timeout -x -d 'limit in seconds'
complete -c tiny -n '__fish_seen_subcommand_from loglevel' -a 'console syslog file_log email DEBUG INFO WARN ERROR'
complete -c tiny -n '__fish_seen_subcommand_from top' -l once -d 'once'
complete -c tiny -n '__fish_seen_subcommand_from top' -l wait -x -d 'how long, in seconds'
complete -c tiny -n '__fish_seen_subcommand_from top' -l curve -r -F -d 'keys'
complete -c tiny -n '__fish_seen_subcommand_from new' -a '(__fish_complete_directories)'
