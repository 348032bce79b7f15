"""The HTTP API: Anypost's /v1, so that its SDKs work by changing the base URL alone.

    site       twisted.web at the edge: sizes, request ids, access log, TLS
    router     from method and path to a handler, with the key that asks: 401, 403, 404, 405, 406
    ...        one module a resource: whoami, events, email, batch, domains, webhooks
    fields     reads JSON bodies, query reads query strings: what is wrong, by field
    service    puts it together

docs/api.md tells users what each request does, docs/openapi.json describes it to programs.
"""
