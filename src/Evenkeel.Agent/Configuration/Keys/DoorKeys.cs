namespace Evenkeel.Agent.Configuration.Keys;

/// <summary>The keys of a door beyond where it is and how it balances.</summary>
internal static class DoorKeys
{
    private static readonly ListShape s_networks = new(new NetworkShape());

    private static readonly KeysShape s_limits = new("services.NAME.publish[].limits",
    [
        new("connections", new IntegerShape(1, 10_000_000), "Client connections at once.", Default: "unlimited"),
        new("connections_per_address", new IntegerShape(1, 10_000_000), "The same for one client address (IPv6: one /64).", Default: "unlimited"),
        new("per_instance", new IntegerShape(1, 10_000_000), "Connections (tcp) or requests (http) at once at each instance; more wait.", Default: "unlimited"),
        new("requests", new IntegerShape(1, 10_000_000), "http: requests at once of this entry; more wait.", Default: "unlimited"),
        new("waiting", new IntegerShape(0, 10_000_000), "How many may wait for an instance at once; of connections (tcp) in each thread of the balancer. Requests beyond are answered with 503.", Default: "1000"),
        new("wait", Shapes.Time("0", "1h"), "How long one may wait: for a place, or (tcp) for a new primary.", Default: "5s"),
        new("body", new SizeShape(), "http: the largest request body; larger ones are answered with 413.", Default: "unlimited"),
        new("head", new SizeShape(), "http: all headers of a request together, 1KiB to 512KiB; more is answered with 431. Of several entries of a port the largest counts.", Default: "32KiB"),
        new("head_time", Shapes.Time("1s", "10m"), "http: how long a client may take to send a request's head; then 408. Of several entries of a port the longest counts.", Default: "10s"),
        new("rate", new NumberShape(0.001, 1_000_000), "New connections (tcp) or requests (http, answered with 429 beyond) per second and client address, on average.", Default: "unlimited"),
        new("burst", new IntegerShape(1, 1_000_000), "How many may come at once before `rate` counts.", Default: "100"),
    ]);

    private static readonly TextShape s_file = new("a path such as /etc/evenkeel/shop.pem", "/.+");

    private static readonly KeysShape s_certificate = new("services.NAME.publish[].tls.certificates[]",
    [
        new("certificate", s_file, "A PEM file on every node: the certificate, then its intermediates.", Required: true),
        new("key", s_file, "A PEM file on every node: its private key.", Required: true),
    ]);

    private static readonly KeysShape s_tls = new("services.NAME.publish[].tls",
    [
        new("certificates", new ListShape(s_certificate, OrOne: true, Least: 1), "Chosen by the name that the client asks for; the first when none fits. Files that change are read again within a second; connections go on.", Required: true),
        new("least", new ChoiceShape("1.2", "1.3"), "The oldest version of TLS.", Default: "1.2"),
        new("http2", Shapes.Boolean, "Whether HTTP/2 is offered beside HTTP/1.1.", Default: "true"),
        new("hsts", Shapes.Time("1s", "520w"), "Browsers are told to come by TLS only, for this long.", Default: "they are not told"),
        new("redirect_from", Shapes.Port, "A port of the same virtual IP whose requests are sent here, usually 80.", Default: "none"),
        new("client_ca", s_file, "A PEM file on every node: clients must have a certificate of one of these authorities.", Default: "clients need none"),
    ]);

    private const string Token = "[A-Za-z0-9!#$%&'*+.^_`|~-]+";

    private static readonly KeysShape s_sticky = new("services.NAME.publish[].sticky",
    [
        new("cookie", new TextShape("a cookie's name", Token), "The cookie that names a client's instance.", Required: true),
        new("for", Shapes.Time("1s", "52w"), "How long clients keep it.", Default: "until the browser is closed"),
    ]);

    private static readonly KeysShape s_accessLog = new("services.NAME.publish[].access_log",
    [
        new("file", s_file, "Where lines are appended, on the node that answered; it may be renamed or truncated at any time.", Required: true),
        new("format", new ChoiceShape("combined", "json"), "combined: as Apache's and nginx's. json: one object a line, with time taken, instance and attempts.", Default: "combined"),
    ]);

    private const string Host = "(\\*\\.)?[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?";
    private static readonly ListShape s_hosts = new(new TextShape("a host name, or *.NAME", Host));

    public static readonly IReadOnlyList<Key> All =
    [
        new("hosts", s_hosts, "http: only requests to these host names. Several entries may share a port by host, path and headers; the best host counts first (exact, then wildcard), then the longest path, then the most headers.", Default: "every request that no better entry of the port means"),
        new("paths", new ListShape(new TextShape("a path such as /api", "/[^?#\\s]*")), "http: only requests whose path begins with one of these, by whole segments.", Default: "every path"),
        new("headers", new NamesShape("a header's name", Token, new TextShape("a value, or * for any")), "http: only requests that have all of these headers with these values; `*` is any value.", Default: "none needed"),
        new("tls", s_tls, "http: clients come by TLS, which ends here.", Default: "plain HTTP"),
        new("hash_of", new TextShape("a header's or cookie's name", Token), "http: the header or cookie that `balance: header-hash` or `cookie-hash` goes by; requests without it are balanced by two choices."),
        new("outliers", Shapes.Boolean, "http: whether an instance that answers with errors, or four times as slowly as the others, is left alone for a while.", Default: "true"),
        new("sticky", s_sticky, "http: a client stays with its instance while that is well, by a cookie.", Default: "each request is balanced by itself"),
        new("maintenance_page", s_file, "http: an HTML file on every node, up to 1 MiB, that is shown with 503 when no instance can answer; it may be changed at any time.", Default: "a page of two sentences"),
        new("access_log", s_accessLog, "http: requests are written down.", Default: "they are not"),
        new("sni", s_hosts, "tcp: only clients that ask for these names by TLS, which is passed through unopened. Several services may share a port by their names.", Default: "every client that no other service of the port names"),
        new("send_proxy", new ChoiceShape("v1", "v2"), "tcp: instances learn the client's address by this version of the PROXY protocol.", Default: "they see the balancer's address"),
        new("accept_proxy_from", s_networks, "Proxies in front of us; they must begin with a PROXY header (either version).", Default: "nobody's header is believed"),
        new("trust_forwarded_from", s_networks, "http: proxies in front of us whose `Forwarded` and `X-Forwarded-*` are kept and appended to; what others send under these names is replaced.", Default: "nobody's are believed"),
        new("allow", s_networks, "Clients that may connect.", Default: "all"),
        new("deny", s_networks, "Clients that may not, stronger than `allow`.", Default: "none"),
        new("limits", s_limits, "What clients may take.", Default: "none"),
        new("weights", Shapes.Named(new IntegerShape(1, 1000)), "Each node's share of the work in relation to the others'.", Default: "100 each"),
    ];
}
