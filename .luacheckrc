std = "luajit"
max_line_length = 112
self = false
files["spec"].std = "luajit+busted"
files["conf.lua"].std = "luajit"
exclude_files = { "build" }
files["templates"].max_line_length = 120
files["templates/spec"].std = "luajit+busted"
