-- Programs of others as clients of scripts/ftp.lua.
local folder = require "spec.support.folder"
local moonwire = require "spec.support.moonwire"
local process = require "spec.support.process"
local test = require "moonwire.test"

local FILES <const> = 2000
local MIRROR_SECONDS <const> = 600

test.deadline(2 * MIRROR_SECONDS + 60)

local ODD <const> = { "with space", " leading", 'quote"s', "[x]*?", "\xC3\xBC", "-rf", "#~$(x)", "a'b;c&d" }

local function run(command)
  local status, output, errors = process.run(command)
  assert.equal(0, status, output .. errors)
  return output
end

-- Runs commands of lftp, which ends at the first that fails.
local function lftp(server, seconds, commands)
  return run { "lftp", "-u", "bob,SECRET", "-p", server.port, "127.0.0.1", seconds = seconds,
    "-e", "set cmd:fail-exit true; set net:max-retries 1; " .. commands .. "; quit" }
end

local function fill(place)
  math.randomseed(2000)
  for i = 1, FILES - #ODD do
    place:write(("d%d/e%d/f%d"):format(i % 40, i % 7, i), ("%d "):format(i):rep(math.random(0, 2000)))
  end
  for _, name in ipairs(ODD) do
    place:write("odd/" .. name, name)
  end
end

describe("scripts/ftp.lua and", function()
  local place, server

  local function serve(...)
    local options = { "--set", "root=" .. place.path, "--set", "users.bob=SECRET" }
    for _, setting in ipairs { ... } do
      table.move({ "--set", setting }, 1, 2, #options + 1, options)
    end
    server = moonwire.serve { script = "scripts/ftp.lua", options = options }
  end

  before_each(function() place = folder.new() end)

  after_each(function()
    server:stop()
    place:remove()
  end)

  it("lftp: 2,000 files there and back over TLS", function()
    local source <close> = folder.new()
    local back <close> = folder.new()
    fill(source)
    serve("tls=required", "certificate=auto")
    lftp(server, 2 * MIRROR_SECONDS, ([[set ssl:verify-certificate no; set ftp:ssl-force true;
      set ftp:ssl-protect-data true; mirror -R -P 8 %s /up; mirror -P 8 /up %s/down]]):format(
      source.path, back.path))
    run { "diff", "-r", source.path, place.path .. "/up" }
    run { "diff", "-r", source.path, back.path .. "/down" }
    assert.equal(tostring(FILES), run { "sh", "-c", 'find "$0" -type f | wc -l', back.path }:match "%d+")
  end)

  it("lftp: goes on in the middle of a file, and in active mode", function()
    local text = ("0123456789"):rep(200000)
    place:write("x", text)
    local here <close> = folder.new()
    here:write("x", text:sub(1, 777777))
    serve()
    lftp(server, 60, ("set ftp:passive-mode off; get -c x -o %s/x; put %s/x -o y"):format(
      here.path, here.path))
    assert.equal(text, here:read "x")
    assert.equal(text, place:read "y")
  end)

  it("curl and lftp: data connections have the TLS session of the control connection", function()
    local here <close> = folder.new()
    serve("tls=required", "certificate=auto", "require_session_reuse=true")
    local url = ("ftp://127.0.0.1:%d/"):format(server.port)
    run { "curl", "-sS", "--insecure", "--ssl-reqd", "--user", "bob:SECRET", "-T", "README.md", url }
    assert.equal(place:read "README.md",
      run { "curl", "-sS", "--insecure", "--ssl-reqd", "--user", "bob:SECRET", url .. "README.md" })
    lftp(server, 60, ("set ssl:verify-certificate no; set ftp:ssl-force true; get README.md -o %s/x"):format(
      here.path))
    assert.equal(place:read "README.md", here:read "x")
  end)

  it("rclone: copies a tree there and back, in clear and over TLS", function()
    local source <close> = folder.new()
    for i = 1, 12 do
      source:write(("d %d/\u{FC}%d"):format(i % 3, i), ("%d "):format(i):rep(40000 * (i % 4)))
    end
    serve("tls=optional", "certificate=auto")
    local password = run({ "rclone", "obscure", "SECRET" }):match "%S+"
    for _, options in ipairs { "", "explicit_tls=true,no_check_certificate=true," } do
      local back <close> = folder.new()
      local remote = (":ftp,host=127.0.0.1,port=%d,user=bob,pass=%s,%sconcurrency=8:up"):format(
        server.port, password, options)
      run { "rclone", "copy", "--retries", "1", source.path, remote, seconds = 60 }
      run { "rclone", "copy", "--retries", "1", remote, back.path, seconds = 60 }
      run { "diff", "-r", source.path, back.path }
      run { "rclone", "purge", remote, seconds = 60 }
    end
  end)

  it("ncftp: puts and gets a folder", function()
    local source <close> = folder.new()
    local back <close> = folder.new()
    source:write("tree/a/b", "deep")
    source:write("tree/c", ("c"):rep(100000))
    serve()
    local function ncftp(program, ...)
      run { program, "-V", "-R", "-u", "bob", "-p", "SECRET", "-P", server.port, "127.0.0.1", ... }
    end
    ncftp("ncftpput", "/", source.path .. "/tree")
    ncftp("ncftpget", back.path, "/tree")
    run { "diff", "-r", source.path .. "/tree", back.path .. "/tree" }
  end)

  it("tnftp: gets many by a pattern, restarts and renames", function()
    local here <close> = folder.new()
    for i = 1, 5 do
      place:write(("file%d.txt"):format(i), tostring(i))
    end
    serve()
    local script = ("open 127.0.0.1 %d\nuser bob SECRET\nbinary\nlcd %s\nmget file?.txt\n"
      .. "put file1.txt new.txt\nrename new.txt renamed.txt\nsize renamed.txt\nbye\n"):format(
      server.port, here.path)
    local output = run { "tnftp", "-n", "-i", "-v", input = script }
    assert.equal("5", here:read "file5.txt", output)
    assert.equal("1", place:read "renamed.txt", output)
  end)
end)
