std = "lua54"
max_line_length = 110
unused_args = true
-- An object's methods take self whether they need it or not.
self = false

files["spec"] = { std = "+busted" }
