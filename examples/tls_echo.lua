-- examples/tls_echo.lua — says each line back over TLS, and first what was agreed on.
--
--   build/moonwire run examples/tls_echo.lua --listen tls://127.0.0.1:7443
-- In another terminal; the certificate is one to try things out, which nobody trusts:
--   openssl s_client -quiet -verify_quiet -connect 127.0.0.1:7443
-- A certificate of your own goes behind it: --set certificate=www.pem --set key=www.key
local service = { options = {} }

function service.connect(conn)
  local tls = conn:tls()
  conn:write(tls.version, " ", tls.cipher, tls.resumed and ", resumed" or "", "\n")
  for line in conn:lines { max = 4096 } do
    conn:write(line, "\n")
  end
end

function service.start(ctx)
  if ctx.config.certificate then
    service.options.tls = { certificate = ctx.config.certificate, key = ctx.config.key }
  end
end

return service
