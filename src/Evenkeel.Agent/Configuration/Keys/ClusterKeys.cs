namespace Evenkeel.Agent.Configuration.Keys;

/// <summary>Every key of <c>cluster.yaml</c>, outside of services (<see cref="ServiceKeys"/>).</summary>
public static class ClusterKeys
{
    private static readonly KeysShape s_networks = new("networks",
    [
        new("public", new ListShape(new NetworkShape(), Least: 1), "The network by which clients reach the cluster. Virtual IPs and the nodes' public addresses are in it. Several (IPv4 and IPv6) are networks on the same interface.",
            Default: "none: nothing can be published"),
        new("private", new ListShape(new NetworkShape(), Least: 1), "The networks for node-to-node traffic only: heartbeats, leases, replication. Several are several links: a dead link is not a dead node.",
            Required: true),
    ]);

    private static readonly KeysShape s_hook = new("vips.NAME.hook",
    [
        new("command", Shapes.Command, "Run on the owner with `take` as its last argument once it holds the address, and with `release` when it no longer does.", Required: true),
        new("time_limit", Shapes.Time("100ms", "10m"), "A call that takes longer is killed and has failed.", Default: "20s"),
        new("every", Shapes.Time("1s", "24h"), "Time between two calls of `take` while the address stays, which mend what somebody else changed.", Default: "30s"),
    ]);

    private static readonly EitherShape s_vip = new(Shapes.Address, new KeysShape("vips.NAME",
    [
        new("address", Shapes.Address, "The virtual IP.", Required: true),
        new("group", Shapes.Name, "Virtual IPs of one group move together.", Default: "alone"),
        new("prefer", Shapes.Names, "Nodes that shall own it, the best first.", Default: "no preference"),
        new("hook", s_hook, "Where neighbours cannot learn by ARP or NDP which node has it (clouds, routed networks): a program that tells the network, see docs/virtual-ip-hooks.md.", Default: "none: it is announced by ARP and NDP"),
    ]));

    private static readonly KeysShape s_fence = new("nodes.NAME.fence",
    [
        new("agent", new TextShape("the name of a fence agent such as fence_ipmilan, or its path", "[A-Za-z0-9_.-]+|/[A-Za-z0-9_./-]+"), "The program that cuts this node's power or network (the fence agents of ClusterLabs); a bare name is looked for where they are installed.", Required: true),
        new("delay", Shapes.Time("0", "5m"), "Waited before the node is cut off: give one of two nodes a delay, so that they do not cut off each other.", Default: "0"),
        new("time_limit", Shapes.Time("1s", "1h"), "An action of the agent that takes longer has failed.", Default: "60s"),
        new("monitor", Shapes.Time("1s", "24h"), "Time between two looks at whether the device still answers.", Default: "60s"),
        new("power_on", Shapes.Boolean, "Once it is confirmed off it is switched on again, so that it can come back by itself.", Default: "false"),
        new("*", Shapes.Text, "Any other key is a parameter of the agent, given to it as name=value on standard input. Name a file for a password (`password_file`) rather than the password."),
    ]);

    private static readonly KeysShape s_node = new("nodes.NAME",
    [
        new("public", new ListShape(Shapes.Address, Least: 1), "Its own address in the public network, or a list: one in each. The first is `{public}`.", Default: "none: it serves no clients and owns no virtual IP"),
        new("private", new ListShape(Shapes.Address, Least: 1), "Its address in each private network, in the order of `networks.private`.", Required: true),
        new("role", new ChoiceShape("full", "witness"), "A witness votes and runs no services.", Default: "full"),
        new("votes", Shapes.Boolean, "Whether its guard votes on who may own what.", Default: "true"),
        new("site", Shapes.Name, "The site that the node stands in.", Default: "none"),
        new("capacity", Shapes.Named(new NumberShape(0, 1e12)), "What it has of each resource (`cpu`, `memory-gib`, any name); services state what they need.", Default: "unlimited"),
        new("fence", new ListShape(s_fence, Least: 1), "How to make sure that the node can no longer act when it does not answer: a device, or a list of them, tried in order until one confirms.", Default: "by the guard's lease alone"),
    ]);

    private static readonly KeysShape s_timings = new("timings",
    [
        new("beat", Shapes.Time("5ms", "10s"), "Time between two heartbeats.", Default: "30ms"),
        new("lease", Shapes.Time("20ms", "5m"), "How long a voter's grant lasts. At least 3 beats.", Default: "150ms"),
        new("detection", Shapes.Time("20ms", "5m"), "Silence after which a node counts as lost. At least 3 beats.", Default: "150ms"),
        new("drift_bound", new NumberShape(0.0001, 0.2), "The greatest relative difference between two nodes' clock rates (0.01 is 1 %).", Default: "0.01"),
        new("loop_stall", Shapes.Time("50ms", "5m"), "An agent that has not made progress for this long loses its virtual IPs.", Default: "300ms"),
        new("agent_absence", Shapes.Time("100ms", "1h"), "After an agent has been away for this long its exclusive services stop too. Not less than `loop_stall`.", Default: "5s"),
    ]);

    private static readonly EitherShape s_coordination = new(new ChoiceShape("managed", "embedded"), new KeysShape("coordination",
    [
        new("external", new ListShape(new UrlShape(), Least: 1), "URLs of the members of an etcd that you run, with addresses: `https://10.0.0.5:2379`.", Required: true),
        new("ca_file", Shapes.Text, "A file on each node (PEM) with the authority of the members' certificates.", Default: "the system's authorities"),
        new("certificate_file", Shapes.Text, "A file on each node (PEM) with the certificate that the agents show to that etcd.", Default: "none"),
        new("key_file", Shapes.Text, "A file on each node (PEM) with that certificate's key.", Default: "none"),
    ]));

    private static readonly KeysShape s_alert = new("alerts.NAME",
    [
        new("webhook", new UrlShape(), "An http or https URL that each message is POSTed to as JSON."),
        new("command", Shapes.Command, "A program that is run with each message as JSON on its standard input, on the node that tells."),
        new("headers", new NamesShape("a header's name", "[A-Za-z0-9!#$%&'*+.^_`|~-]+", Shapes.Text), "Webhooks: headers to send with each message; no secrets, this file is no place for them.", Default: "none"),
        new("secret_file", Shapes.Text, "Webhooks: a file on each node with the secret that signs each message (`webhook-signature` of Standard Webhooks): `whsec_` and the base64 of 24 to 64 random bytes.", Default: "unsigned"),
        new("authorization_file", Shapes.Text, "Webhooks: a file on each node with the value of the `Authorization` header.", Default: "none"),
        new("from", new ChoiceShape("note", "degraded", "down"), "The mildest that is told.", Default: "degraded"),
        new("after", Shapes.Time("0", "24h"), "What is over sooner is not told.", Default: "5s"),
        new("resolved", Shapes.Boolean, "Whether it is told that something is over.", Default: "true"),
        new("repeat", Shapes.Time("1m", "52w"), "Time between two reminders while something stays so.", Default: "no reminders"),
        new("time_limit", Shapes.Time("100ms", "5m"), "A delivery that takes longer has failed; it is tried again.", Default: "10s"),
    ], OneOf: ["webhook", "command"]);

    private static readonly KeysShape s_telemetry = new("telemetry",
    [
        new("otlp", new UrlShape(), "The base URL of an OpenTelemetry collector (OTLP): `http://collector:4318`, for gRPC `http://collector:4317`.", Required: true),
        new("protocol", new ChoiceShape("http", "grpc"), "HTTP with protobuf bodies, or gRPC.", Default: "http"),
        new("headers", new NamesShape("a header's name", "[A-Za-z0-9!#$%&'*+.^_`|~-]+", Shapes.Text), "Headers to send with each export; no secrets, this file is no place for them.", Default: "none"),
        new("authorization_file", Shapes.Text, "A file on each node with the value of the `Authorization` header.", Default: "none"),
    ]);

    private static readonly KeysShape s_api = new("api",
    [
        new("port", Shapes.Port, "TCP port on every node.", Default: "7807"),
        new("listen", new ChoiceShape("private", "public", "both"), "Which of a node's own addresses it is served on; never a virtual IP.", Default: "private"),
    ]);

    /// <summary>The whole file.</summary>
    public static readonly KeysShape File = new("cluster.yaml",
    [
        new("version", new IntegerShape(1, 1), "Version of this file's format.", Required: true),
        new("cluster", Shapes.Name, "The cluster's name; commands find it by `--cluster NAME`.", Required: true),
        new("networks", s_networks, "The public and the private connection.", Required: true),
        new("vips", Shapes.Named(s_vip), "Virtual IPs: addresses of the public network that move between nodes.", Default: "none"),
        new("nodes", Shapes.Named(s_node), "The servers.", Required: true),
        new("services", Shapes.Named(ServiceKeys.Service), "What must keep running.", Default: "none"),
        new("timings", s_timings, "How fast failures are noticed. Lengthen all of them for slow or lossy networks.", Default: "for a LAN"),
        new("coordination", s_coordination, "Where decisions are kept: an etcd that Evenkeel runs (`managed`), a file on one machine (`embedded`), or an etcd of yours.", Default: "managed"),
        new("alerts", Shapes.Named(s_alert), "Who is told when something is the matter, and when it is over.", Default: "nobody"),
        new("telemetry", s_telemetry, "Where each agent sends a trace of every failover (OpenTelemetry). The variables `OTEL_*` of an agent go before it.", Default: "nowhere"),
        new("api", s_api, "The control API over TLS, for whoever brings a token (`evenkeel api token`). `api: {}` takes the defaults.", Default: "on the local socket alone"),
        new("volumes", Shapes.Named(VolumeKeys.Volume), "Storage whose legs are on several nodes (RAID 1 or 10), and that moves with the service that mounts it.", Default: "none"),
        new("backups", Shapes.Named(BackupKeys.Backup), "What is backed up, when, and where to. Nodes do it in turn, beside what they serve.", Default: "nothing"),
        new("sites", Shapes.Text, "Redundant sites.", NotYet: "redundant sites"),
    ]);
}
