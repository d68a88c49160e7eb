-- The documentation, the annotations and what is there at run time name the same
-- functions with the same parameters.
local annotations = require "spec.docs.annotations"
local lfs = require "lfs"

-- Called by the process itself, not by scripts.
local ENTRY_POINTS <const> = { ["test.main"] = true }

-- Of modules whose parts are public.
local FOLDERS <const> = {
  "lua/moonwire/sync", "lua/moonwire/http", "lua/moonwire/websocket", "lua/moonwire/sasl",
  "lua/moonwire/smtp", "lua/moonwire/ftp", "lua/moonwire/maildir", "lua/moonwire/mail",
  "lua/moonwire/redis", "lua/moonwire/chat", "lua/moonwire/irc",
  "lua/moonwire/redis", "lua/moonwire/gate",
}

local function files(folder, pattern)
  local found = {}
  for name in lfs.dir(folder) do
    if name:find(pattern) then
      found[#found + 1] = folder .. "/" .. name
    end
  end
  table.sort(found)
  return found
end

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

-- The comment at the head of a file says so.
local function is_internal(path)
  local head = read(path):match("^(.-)\nlocal ") or ""
  return head:find("Not for scripts.", 1, true) ~= nil or head:find("Internal:", 1, true) ~= nil
    or read(path):find("^%-%-%-@meta moonwire%.core") ~= nil
end

local function module_of(path)
  local name = path:match("^lua/moonwire/(.*)%.lua$"):gsub("/", ".")
  return name == "init" and "moonwire" or name
end

-- Classes of HTTP are headed without that: "request:header" of "http.request".
local function short(receiver)
  return (receiver:gsub("^http%.", ""))
end

local function key(entry)
  return short(entry.receiver) .. (entry.is_method and ":" or ".") .. entry.name
end

local function show(parameters)
  local names = {}
  for i, parameter in ipairs(parameters) do
    names[i] = parameter.optional and "[" .. parameter.name .. "]" or parameter.name
  end
  return table.concat(names, ", ")
end

local function merge(found, more)
  table.move(more.functions, 1, #more.functions, #found.functions + 1, found.functions)
  for name, class in pairs(more.classes) do
    found.classes[name] = class
  end
end

-- Public annotations, and those of internal files.
local function read_all_code()
  local public, internal = { functions = {}, classes = {} }, { functions = {}, classes = {} }
  local paths = files("lua/moonwire", "%.lua$")
  table.move(files("lua/meta", "%.lua$"), 1, 100, #paths + 1, paths)
  for _, folder in ipairs(FOLDERS) do
    table.move(files(folder, "%.lua$"), 1, 100, #paths + 1, paths)
  end
  for _, path in ipairs(paths) do
    merge(is_internal(path) and internal or public, annotations.read_code(path))
  end
  return public, internal
end

local function public_modules()
  local modules = {}
  local paths = files("lua/moonwire", "%.lua$")
  table.move(files("lua/moonwire/http", "%.lua$"), 1, 100, #paths + 1, paths)
  for _, path in ipairs(paths) do
    if not is_internal(path) then
      modules[#modules + 1] = module_of(path)
    end
  end
  return modules
end

describe("the documentation of the API", function()
  local public, internal, by_key, pages, headings

  setup(function()
    public, internal = read_all_code()
    by_key, pages, headings = {}, {}, {}
    for _, entry in ipairs(public.functions) do
      by_key[key(entry)] = entry
    end
    for _, path in ipairs(files("docs/api", "%.md$")) do
      local page = annotations.read_page(path)
      pages[path] = page
      for _, heading in ipairs(page.headings) do
        headings[key(heading)] = heading
      end
    end
  end)

  -- Shown at once, so that a run tells all that is missing.
  local function expect_none(problems)
    table.sort(problems)
    assert.are.equal("", table.concat(problems, "\n"))
  end

  local function is_public(entry)
    return not entry.hidden and not ENTRY_POINTS[key(entry)]
      and not (entry.receiver:find("^%u") or entry.name == "new" and not entry.is_method)
  end

  it("is found at all", function()
    assert.is_true(#public.functions > 60)
    assert.is_true(#internal.functions > 20)
    assert.is_not_nil(by_key["stream:read_until"])
    assert.is_not_nil(by_key["task.spawn"])
    assert.is_not_nil(by_key["queue:push"])
    assert.are.equal("[seconds]", show(by_key["queue:pop"].parameters))
    assert.are.same({ "full", "closed" }, by_key["queue:try_push"].codes)
    assert.is_not_nil(headings["stream:read"])
  end)

  it("names the parameters of each function as its code does", function()
    local problems = {}
    for _, entry in ipairs(public.functions) do
      local names = {}
      for i, parameter in ipairs(entry.parameters) do
        names[i] = parameter.name
      end
      if entry.signature and is_public(entry)
        and table.concat(names, ", ") ~= table.concat(entry.signature, ", ") then
        problems[#problems + 1] = ("%s: %s: ---@param says (%s), the code (%s)"):format(
          entry.place, key(entry), table.concat(names, ", "), table.concat(entry.signature, ", "))
      end
    end
    expect_none(problems)
  end)

  it("says what each function is for", function()
    local problems = {}
    for _, entry in ipairs(public.functions) do
      if is_public(entry) and entry.text == "" then
        problems[#problems + 1] = entry.place .. ": no description of " .. key(entry)
      end
    end
    for name, heading in pairs(headings) do
      if not heading.text:find("%a") then
        problems[#problems + 1] = heading.place .. ": nothing is said of " .. name
      end
    end
    expect_none(problems)
  end)

  it("has a heading for every function, with its parameters", function()
    local problems = {}
    for _, entry in ipairs(public.functions) do
      local heading = headings[key(entry)]
      if not is_public(entry) then
        if heading then
          problems[#problems + 1] = heading.place .. ": not for scripts: " .. key(entry)
        end
      elseif not heading then
        problems[#problems + 1] = ("%s: not in docs/api: ### `%s(%s)`"):format(
          entry.place, key(entry), show(entry.parameters))
      elseif show(heading.parameters) ~= show(entry.parameters) then
        problems[#problems + 1] = ("%s: (%s), but the annotation has (%s)"):format(
          heading.place, show(heading.parameters), show(entry.parameters))
      end
    end
    expect_none(problems)
  end)

  it("has no heading of a function that does not exist", function()
    local problems = {}
    for name, heading in pairs(headings) do
      if not by_key[name] then
        problems[#problems + 1] = heading.place .. ": no such function: " .. name
      end
    end
    expect_none(problems)
  end)

  it("tells of each function the codes that its annotation tells", function()
    local problems = {}
    for _, entry in ipairs(public.functions) do
      local heading = headings[key(entry)]
      for _, code in ipairs(heading and entry.codes or {}) do
        if not heading.text:find("`" .. code .. "`", 1, true) then
          problems[#problems + 1] = ("%s: %s may fail with `%s`"):format(heading.place, key(entry), code)
        end
      end
    end
    expect_none(problems)
  end)

  it("has a page for every module, and of every class with methods", function()
    local problems = {}
    local function expect_page(name)
      name = name:gsub("%.", "_")
      if not pages[("docs/api/%s.md"):format(name)] then
        problems[#problems + 1] = ("docs/api/%s.md is missing"):format(name)
      end
    end
    for _, module in ipairs(public_modules()) do
      expect_page(module)
    end
    for _, name in ipairs { "stream", "listener", "datagram", "service" } do
      expect_page(name)
    end
    expect_none(problems)
  end)

  it("tells every field of every table that scripts give or get", function()
    local all, problems = "", {}
    for _, page in pairs(pages) do
      all = all .. page.text
    end
    for name, class in pairs(public.classes) do
      local is_inner = name:find(".", 1, true) -- of a module, such as moonwire.test.run
      for _, field in ipairs(is_inner and {} or class.fields) do
        if not all:find("`" .. field .. "`", 1, true) then
          problems[#problems + 1] = ("%s: no page of docs/api tells of `%s` of moonwire.%s"):format(
            class.place, field, class.name)
        end
      end
    end
    expect_none(problems)
  end)

  it("has examples that are Lua, and that require modules which exist", function()
    local problems, count = {}, 0
    for _, page in pairs(pages) do
      for _, block in ipairs(page.blocks) do
        count = count + 1
        local chunk, message = load(block.text, "=" .. block.place, "t")
        if not chunk then
          problems[#problems + 1] = message
        end
        for name in block.text:gmatch('require "(moonwire%.[%w_.]+)"') do
          if not package.searchpath(name, package.path) then
            problems[#problems + 1] = block.place .. ": no module " .. name
          end
        end
      end
    end
    assert.is_true(count > 20)
    expect_none(problems)
  end)

  describe("covers what is there at run time:", function()
    local function expect_annotated(problems, receiver, separator, functions, known)
      for name, value in pairs(functions) do
        if type(name) == "string" and not name:find("^__") and type(value) == "function"
          and not known[receiver .. separator .. name] then
          problems[#problems + 1] = ("%s%s%s has no annotation"):format(receiver, separator, name)
        end
      end
    end

    local function known_keys(...)
      local known = {}
      for _, found in ipairs { ... } do
        for _, entry in ipairs(found.functions) do
          known[key(entry)] = true
        end
      end
      return known
    end

    it("the functions of modules", function()
      local problems, known = {}, known_keys(public)
      for _, module in ipairs(public_modules()) do
        local loaded = require(module == "moonwire" and module or "moonwire." .. module)
        expect_annotated(problems, module:match("[^.]+$"), ".", loaded, known)
        for _, entry in ipairs(public.functions) do
          if entry.receiver == module and not entry.is_method and not loaded[entry.name] then
            problems[#problems + 1] = ("%s: %s is not there at run time"):format(entry.place, key(entry))
          end
        end
      end
      expect_none(problems)
    end)

    it("the functions of the core", function()
      local problems, known = {}, {}
      for _, entry in ipairs(internal.functions) do
        known[entry.receiver .. "." .. entry.name] = true
      end
      local core = require "moonwire.core"
      expect_annotated(problems, "core", ".", core, known)
      for name, part in pairs(core) do
        if type(part) == "table" then
          expect_annotated(problems, "core." .. name, ".", part, known)
        end
      end
      expect_none(problems)
    end)

    local function expect_methods(problems, class, methods, known)
      expect_annotated(problems, class, ":", methods, known)
      for name in pairs(known) do
        local receiver, method = name:match("^(.-):(.*)$")
        if receiver == class and not methods[method] then
          problems[#problems + 1] = ("%s is not there at run time"):format(name)
        end
      end
    end

    it("the methods of userdata", function()
      local problems, known, count = {}, known_keys(public, internal), 0
      for name, metatable in pairs(debug.getregistry()) do
        local class = type(name) == "string" and name:match("^moonwire%.([%w_.]+)$")
        local methods = class and type(metatable) == "table" and metatable.__index
        if type(methods) == "function" then
          local _, held = debug.getupvalue(methods, 1) -- one that also knows fields
          methods = held
        end
        if type(methods) == "table" then
          count = count + 1
          expect_methods(problems, short(class), methods, known)
        end
      end
      assert.is_true(count >= 7)
      expect_none(problems)
    end)

    it("the methods of tables", function()
      local sync, timer, signal = require "moonwire.sync", require "moonwire.timer", require "moonwire.signal"
      local problems, known = {}, known_keys(public)
      for _, object in ipairs {
        sync.queue(1), sync.semaphore(1), sync.event(), timer.after(0, function() end),
        signal.on("usr1", function() end),
      } do
        local metatable = getmetatable(object)
        local methods = {}
        for name, value in pairs(metatable.__index) do
          methods[name] = name ~= "new" and value or nil
        end
        expect_methods(problems, metatable.__name:match("^moonwire%.(.*)$"), methods, known)
      end
      expect_none(problems)
    end)
  end)

  describe("names the options that are known:", function()
    local codec, crypto, frame = require "moonwire.codec", require "moonwire.crypto", require "moonwire.frame"
    local json, xml = require "moonwire.json", require "moonwire.xml"
    local signer
    local process, metrics = require "moonwire.process", require "moonwire.metrics"
    local bus, compress = require "moonwire.bus", require "moonwire.compress"
    local ftp_client = require "moonwire.ftp.client".methods
    local store, websocket = require "moonwire.store", require "moonwire.websocket"
    local net, dns, file = require "moonwire.net", require "moonwire.dns", require "moonwire.file"
    local maildir = require "moonwire.maildir"
    local a, b = net.pair()

    local function open_maildir()
      local place = require "spec.support.folder".new()
      local box = assert(maildir.open(place.path, { create = true }))
      place:remove()
      return box
    end

    local auth, cookie = require "moonwire.http.auth", require "moonwire.http.cookie"
    local client, proxy = require "moonwire.http.client", require "moonwire.http.proxy"
    local cors, limit = require "moonwire.http.cors", require "moonwire.http.limit"
    local multipart, query = require "moonwire.http.multipart", require "moonwire.http.query"
    local router, session = require "moonwire.http.router", require "moonwire.http.session"
    local sse, template = require "moonwire.http.sse", require "moonwire.http.template"
    local sasl = require "moonwire.sasl"
    local address, smtp = require "moonwire.smtp.address", require "moonwire.smtp.server"
    local mailer = require "moonwire.smtp.client"

    -- A call with an unknown option tells those that are known.
    local function known_options(call)
      local ok, message = pcall(call, { no_such_option = true })
      assert.is_false(ok)
      local list = assert(message:match("%(known: (.-)%)"), message)
      local known = {}
      for name in list:gmatch("[%w_]+") do
        known[#known + 1] = name
      end
      table.sort(known)
      return known
    end

    local function annotated_options(name)
      local fields = {}
      while name do
        local class = public.classes[name]
        table.move(class.fields, 1, #class.fields, #fields + 1, fields)
        name = class.parent
      end
      table.sort(fields)
      return fields
    end

    local CALLS <const> = {
      listen_options = function(options) net.listen("tcp://127.0.0.1:0", options) end,
      serve_options = function(options) net.serve("tcp://127.0.0.1:0", print, options) end,
      connect_options = function(options) net.connect("tcp://127.0.0.1:1", options) end,
      datagram_options = function(options) net.datagram("udp://127.0.0.1:0", options) end,
      connect_datagram_options = function(options) net.connect_datagram("udp://127.0.0.1:1", options) end,
      relay_options = function(options) net.relay(a, b, options) end,
      stream_options = function(options) a:configure(options) end,
      iteration_options = function(options) a:lines(options) end,
      client_hello_options = function(options) a:peek_client_hello(options) end,
      dns_addresses_options = function(options) dns.addresses("127.0.0.1", options) end,
      dns_options = function(options) dns.configure(options) end,
      json_decode_options = function(options) json.decode("1", options) end,
      json_encode_options = function(options) json.encode(1, options) end,
      json_lines_options = function(options) json.lines(a, options) end,
      xml_options = function(options) xml.parse("<a/>", options) end,
      base64_encode_options = function(options) codec.base64_encode("", options) end,
      base64_decode_options = function(options) codec.base64_decode("", options) end,
      url_code_options = function(options) codec.url_encode("", options) end,
      quoted_printable_options = function(options) codec.quoted_printable_encode("", options) end,
      form_decode_options = function(options) codec.form_decode("", options) end,
      frame_options = function(options) frame.read(a, options) end,
      record_options = function(options) frame.read_packed(a, "I1", options) end,
      hkdf_options = function(options) crypto.hkdf("sha256", "key", 1, options) end,
      pbkdf2_options = function(options) crypto.pbkdf2("", "", options) end,
      scrypt_options = function(options) crypto.scrypt("", "", options) end,
      seal_options = function(options) crypto.seal(("k"):rep(32), "", options) end,
      generate_key_options = function(options) crypto.generate_key("rsa", options) end,
      key_password_options = function(options) crypto.read_key("", options) end,
      sign_options = function(options)
        signer = signer or assert(crypto.generate_key("ed25519"))
        signer:sign("", options)
      end,
      spawn_options = function(options) process.spawn(options) end,
      run_options = function(options) process.run(options) end,
      file_root_options = function(options) file.root("/", options) end,
      file_read_options = function(options) file.read("/", options) end,
      file_write_options = function(options) file.write("/", "", options) end,
      file_append_options = function(options) file.append("/", "", options) end,
      file_open_options = function(options) file.open("/", "read", options) end,
      file_stat_options = function(options) file.stat("/", options) end,
      file_list_options = function(options) file.list("/", options) end,
      file_make_folder_options = function(options) file.make_folder("/", options) end,
      file_rename_options = function(options) file.rename("/", "/", options) end,
      gate_bans_options = function(options) require "moonwire.gate".bans("a", options) end,
      gate_events_options = function(options) require "moonwire.gate".events("/", options) end,
      gate_expect_options = function(options) require "moonwire.gate".expect(a, "ssh", options) end,
      gate_lists_options = function(options) require "moonwire.gate".lists(options) end,
      gate_relay_options = function(options) require "moonwire.gate".relay(a, b, options) end,
      gate_tarpit_options = function(options) require "moonwire.gate".tarpit(options) end,
      tally_options = function(options) require "moonwire.tally".places("a", 1, options) end,
      tally_rate_options = function(options) require "moonwire.tally".rate("a", options) end,
      maildir_open_options = function(options) maildir.open("/", options) end,
      ipset_network_options = function(options) require "moonwire.ipset".network("::1", options) end,
      ipset_load_options = function(options) require "moonwire.ipset".of():load("/", options) end,
      maildir_list_options = function(options) open_maildir():list(options) end,
      maildir_draft_options = function(options) open_maildir():draft(options) end,
      mail_queue_options = function(options) require "moonwire.mail.queue".open("/", options) end,
      mail_relay_options = function(options) require "moonwire.mail.relay".sender(options) end,
      mail_directory_options = function(options) require "moonwire.mail.directory".read(options) end,
      file_remove_options = function(options) file.remove("/no/such/file", options) end,
      metric_options = function(options) metrics.gauge("no_such_gauge", "None.", options) end,
      histogram_options = function(options) metrics.histogram("no_such_histogram", "None.", options) end,
      store_set_options = function(options) store.set("a", 1, options) end,
      store_expire_options = function(options) store.incr("a", 1, options) end,
      store_scan_options = function(options) store.scan("a", options) end,
      subscribe_options = function(options) bus.subscribe("a", options) end,
      encode_options = function(options) compress.gzip("", options) end,
      decoder_options = function(options) compress.decoder("gzip", options) end,
      ["http.static_options"] = function(options) require "moonwire.http.static".new("/", options) end,
      ["http.compression_options"] = function(options) require "moonwire.http.compression".new(options) end,
      ["http.decompression_options"] = function(options)
        require "moonwire.http.compression".requests(options)
      end,
      tls_server_options = function(options) net.serve("tls://127.0.0.1:0", print, { tls = options }) end,
      tls_client_options = function(options) net.connect("tls://127.0.0.1:1", { tls = options }) end,
      start_tls_options = function(options)
        options.role = "server"
        a:start_tls(options)
      end,
      websocket_accept_options = function(options) websocket.accept({}, {}, options) end,
      websocket_connect_options = function(options) websocket.connect("ws://x/", options) end,
      chat_options = function(options) require "moonwire.chat".hall(options) end,
      chat_history_options = function(options) require "moonwire.chat".history(options) end,
      chat_flood_options = function(options) require "moonwire.chat".flood(options) end,
      irc_door_options = function(options) require "moonwire.irc".door({}, options) end,
      rpc_options = function(options) require "moonwire.rpc".handler({}, options) end,
      ftp_connect_options = function(options) require "moonwire.ftp".connect("tcp://x:1", options) end,
      ftp_get_options = function(options) ftp_client.get(ftp_client, "x", options) end,
      ftp_put_options = function(options) ftp_client.put(ftp_client, "x", "", options) end,
      ftp_service_options = require "moonwire.ftp".service,
      tftp_server_options = function(options) require "moonwire.tftp".server({}, options) end,
      tftp_folder_options = function(options)
        require "moonwire.tftp".folder(assert(file.root("/")), options)
      end,
      tftp_options = function(options) require "moonwire.tftp".put("x", "x", "", options) end,
      tftp_get_options = function(options) require "moonwire.tftp".get("x", "x", options) end,
      redis_options = function(options) require "moonwire.redis".connect("redis://x", options) end,
      file_lock_options = function(options) file.lock("/", options) end,
      ["http.basic_options"] = auth.basic,
      ["http.bearer_options"] = auth.bearer,
      ["http.cookie_options"] = function(options) cookie.encode("a", "b", options) end,
      ["http.cors_options"] = cors.new,
      ["http.multipart_options"] = function(options) multipart.parts(print, "x", options) end,
      ["http.part_save_options"] = function(options)
        local text = "--x\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--x--"
        local part = multipart.parts(function() return text end, "x")()
        part:save(assert(file.root("/")), options)
      end,
      ["http.password_options"] = function(options) auth.hash_password("", options) end,
      ["http.protect_options"] = cors.protect,
      ["http.query_options"] = function(options) query.parse("", options) end,
      ["http.check_options"] = function(options)
        proxy.new { upstreams = { "http://127.0.0.1" }, check = options }
      end,
      ["http.client_options"] = client.new,
      ["http.proxy_options"] = proxy.new,
      ["http.rate_options"] = limit.rate,
      ["http.receiver_options"] = function(options)
        require "moonwire.http.receiver".new(assert(file.root("/")), options)
      end,
      ["http.request_options"] = function(options) client.get("http://127.0.0.1", options) end,
      ["http.router_options"] = router.new,
      ["http.session_options"] = session.new,
      ["http.sse_options"] = function(options) sse.start(nil, options) end,
      ["http.template_folder_options"] = function(options) template.folder("/", options) end,
      ["http.template_options"] = function(options) template.compile("", options) end,
      ["sasl.client_options"] = function(options) sasl.client("PLAIN", options) end,
      ["smtp.address_options"] = function(options) address.parse("", options) end,
      ["smtp.send_options"] = function(options) mailer.connect("tcp://127.0.0.1:1", options) end,
      ["smtp.server_options"] = function(options) smtp.new({ on_message = print }, options) end,
    }

    for name, call in pairs(CALLS) do
      it(name, function()
        local known, annotated = known_options(call), annotated_options(name)
        -- The C code of listen and serve reads one list; listen refuses `defer` by itself.
        if name == "listen_options" then
          table.insert(annotated, "defer")
          table.sort(annotated)
        end
        assert.are.same(annotated, known)
      end)
    end

    it("and no options are left out here", function()
      local problems = {}
      for name in pairs(public.classes) do
        if name:find("_options$") and not CALLS[name] and name ~= "select_options" then
          problems[#problems + 1] = name
        end
      end
      expect_none(problems)
      -- select is Lua: its positions are its own.
      local ok, message = pcall(require "moonwire.sync".select, { no_such_option = true })
      assert.is_false(ok)
      assert.matches("%(known: timeout%)", message)
      assert.are.same({ "timeout" }, public.classes.select_options.fields)
    end)
  end)
end)
