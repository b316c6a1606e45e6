std = "luajit"
max_line_length = 112
self = false
files["spec"].std = "luajit+busted"
files["conf.lua"].std = "luajit"
exclude_files = { "build" }
files["runtime/command/templates"].max_line_length = 120
files["runtime/command/templates/spec"].std = "luajit+busted"
