namespace Evenkeel.Agent.Configuration.Keys;

/// <summary>The keys of a door beyond where it is and how it balances.</summary>
internal static class DoorKeys
{
    private static readonly ListShape s_networks = new(new NetworkShape());

    private static readonly KeysShape s_limits = new("services.NAME.publish[].limits",
    [
        new("connections", new IntegerShape(1, 10_000_000), "Client connections at once.", Default: "unlimited"),
        new("connections_per_address", new IntegerShape(1, 10_000_000), "The same for one client address (IPv6: one /64).", Default: "unlimited"),
        new("per_instance", new IntegerShape(1, 10_000_000), "tcp: connections at once to each instance; more wait.", Default: "unlimited"),
        new("waiting", new IntegerShape(0, 10_000_000), "tcp: how many connections may wait for an instance at once, in each thread of the balancer.", Default: "1000"),
        new("wait", Shapes.Time("0", "1h"), "tcp: how long one may wait: for a place, or for a new primary.", Default: "5s"),
        new("rate", new NumberShape(0.001, 1_000_000), "New connections (tcp) or requests (http, answered with 429 beyond) per second and client address, on average.", Default: "unlimited"),
        new("burst", new IntegerShape(1, 1_000_000), "How many may come at once before `rate` counts.", Default: "100"),
    ]);

    private const string Host = "(\\*\\.)?[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?";
    private static readonly ListShape s_hosts = new(new TextShape("a host name, or *.NAME", Host));

    public static readonly IReadOnlyList<Key> All =
    [
        new("hosts", s_hosts, "http: only requests to these host names. Several entries may share a port by host, path and headers; the best host counts first (exact, then wildcard), then the longest path, then the most headers.", Default: "every request that no better entry of the port means"),
        new("paths", new ListShape(new TextShape("a path such as /api", "/[^?#\\s]*")), "http: only requests whose path begins with one of these, by whole segments.", Default: "every path"),
        new("headers", new NamesShape("a header's name", "[A-Za-z0-9!#$%&'*+.^_`|~-]+", new TextShape("a value, or * for any")), "http: only requests that have all of these headers with these values; `*` is any value.", Default: "none needed"),
        new("sni", s_hosts, "tcp: only clients that ask for these names by TLS, which is passed through unopened. Several services may share a port by their names.", Default: "every client that no other service of the port names"),
        new("send_proxy", new ChoiceShape("v1", "v2"), "tcp: instances learn the client's address by this version of the PROXY protocol.", Default: "they see the balancer's address"),
        new("accept_proxy_from", s_networks, "tcp: proxies in front of us; they must begin with a PROXY header (either version).", Default: "nobody's header is believed"),
        new("allow", s_networks, "Clients that may connect.", Default: "all"),
        new("deny", s_networks, "Clients that may not, stronger than `allow`.", Default: "none"),
        new("limits", s_limits, "What clients may take.", Default: "none"),
        new("weights", Shapes.Named(new IntegerShape(1, 1000)), "Each node's share of the work in relation to the others'.", Default: "100 each"),
    ];
}
