std = "luajit"
max_line_length = 110
self = false
files["spec"].std = "luajit+busted"
files["conf.lua"].std = "luajit"
exclude_files = { "build" }
