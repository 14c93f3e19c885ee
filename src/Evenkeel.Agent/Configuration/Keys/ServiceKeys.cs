namespace Evenkeel.Agent.Configuration.Keys;

/// <summary>Every key of a service.</summary>
public static class ServiceKeys
{
    private static readonly KeysShape s_process = new("services.NAME.process",
    [
        new("command", Shapes.Command, "Program and arguments, as a list. `{private}`, `{public}`, `{node}` and `{port}` are filled in on the node where it runs.", Required: true),
        new("environment", new NamesShape("a variable's name", "[A-Za-z_][A-Za-z0-9_]*", Shapes.Text), "Variables beside those of the agent; placeholders as in `command`.", Default: "none"),
        new("working_directory", Shapes.Text, "Where it runs.", Default: "the agent's"),
        new("user", Shapes.Text, "The user that it runs as.", Default: "the agent's"),
        new("stop_signal", new ChoiceShape("TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "KILL"), "The signal that asks it to stop.", Default: "TERM"),
        new("stop_timeout", Shapes.Time("0", "1h"), "How long it may take to stop; then it is killed.", Default: "10s"),
        new("start_timeout", Shapes.Time("10ms", "24h"), "How long it may take to become healthy after a start, `prepare` included; until then checks that fail do not count.", Default: "30s"),
        new("prepare", Shapes.Command, "What brings its data in place (a mount, a copy, a restore) before each start, where it is started and under the same lease; only if it succeeds is `command` run."),
        new("promote", Shapes.Command, "Warm services: what makes the standby the active one; exit code 0 is success."),
        new("demote", Shapes.Command, "Warm services: what makes the active one a standby."),
    ]);

    private static readonly KeysShape s_postgresql = new("services.NAME.postgresql",
    [
        new("data", Shapes.Text, "The data directory; `{node}` is filled in. Made when the cluster has no data yet, adopted when it is there, copied from the primary elsewhere.", Required: true),
        new("binaries", Shapes.Text, "The directory of `postgres`, `initdb`, `pg_basebackup` and `pg_rewind`.", Default: "the version of the data (or the newest) in `/usr/lib/postgresql`, else the search path"),
        new("user", Shapes.Text, "The user that it runs as, and that owns the data; never root.", Default: "postgres"),
        new("parameters", new NamesShape("a parameter's name", "[A-Za-z_][A-Za-z0-9_.]*", Shapes.Text), "Settings of `postgresql.conf`. Those that replication depends on are refused.", Default: "none"),
        new("pg_hba", new ListShape(Shapes.Text), "Lines of `pg_hba.conf` for clients.", Default: "`host all all all scram-sha-256`"),
        new("initdb", new ListShape(Shapes.Text), "More arguments for `initdb`, for the first data.", Default: "none"),
        new("restore", Shapes.Command, "What puts data into the empty directory of a node that is to own the service and has none, though the cluster had some; `{data}` is the directory. Run as `user`, within `start_timeout`.", Default: "such a start fails"),
        new("on_change", Shapes.Command, "Run on the node after a start, a stop and a change of role, as `user`, with three more arguments: `on_start`, `on_stop` or `on_role_change`, then `primary` or `replica`, then the service's name: what Patroni passes to callbacks. What it says goes to the service's log.", Default: "none"),
        new("synchronous_standbys", new IntegerShape(1, 8), "Hot: how many standbys each commit waits for.", Default: "1"),
        new("quorum", Shapes.Boolean, "Hot: each commit waits for any `synchronous_standbys` of all standbys, whichever are fastest, instead of for named ones. With k of n, n - k + 1 standbys must be there before one of them takes over.", Default: "false"),
        new("strict", Shapes.Boolean, "Hot: without a synchronous standby commits wait, instead of going on with one copy.", Default: "false"),
        new("max_lag", new SizeShape(), "Warm: a standby that lacks more than this is not promoted by itself.", Default: "no limit"),
        new("start_timeout", Shapes.Time("1s", "24h"), "How long a start may take, with crash recovery or a copy of all data.", Default: "5m"),
        new("stop_timeout", Shapes.Time("1s", "1h"), "How long it may take to stop in order; then it stops at once.", Default: "60s"),
    ]);

    private static readonly KeysShape s_health = new("services.NAME.health",
    [
        new("http", new TextShape("a path such as /healthz", "/.*"), "Healthy is an answer to a GET of this path, with the status that `status` says."),
        new("status", new TextShape("a status such as 200, or two with a dash such as 200-299", "[1-5][0-9][0-9](-[1-5][0-9][0-9])?"), "The statuses that are healthy for `http`.", Default: "200-399"),
        new("contains", Shapes.Text, "What the answer's body must contain for `http`; its first 64 KiB are looked at.", Default: "anything will do"),
        new("host", new TextShape("a host name", "[A-Za-z0-9]([A-Za-z0-9.:-]{0,250}[A-Za-z0-9])?"), "The `Host` that `http` asks for, and the server name (SNI) that `tls` asks for.", Default: "the instance's address; no server name"),
        new("tcp", Shapes.Boolean, "Healthy is a connection that is accepted; write `tcp: true`."),
        new("tls", Shapes.Boolean, "Healthy is a TLS handshake that completes, whatever the certificate; write `tls: true`."),
        new("grpc", Shapes.Boolean, "Healthy is SERVING by the gRPC health protocol (grpc.health.v1), over HTTP/2 without TLS; write `grpc: true`."),
        new("grpc_service", Shapes.Text, "The name that `grpc` asks for.", Default: "the server as a whole"),
        new("script", Shapes.Command, "Healthy is exit code 0 of this command."),
        new("every", Shapes.Time("10ms", "1h"), "Time between two probes.", Default: "100ms"),
        new("timeout", Shapes.Time("1ms", "1h"), "A probe that takes longer has failed. Not more than `every`.", Default: "100ms"),
        new("rise", new IntegerShape(1, 1000), "Successes in a row that make an unhealthy instance healthy.", Default: "2"),
        new("fall", new IntegerShape(1, 1000), "Failures in a row that make a healthy instance unhealthy.", Default: "2"),
    ], OneOf: ["http", "tcp", "tls", "grpc", "script"]);

    private static readonly KeysShape s_publish = new("services.NAME.publish[]",
    [
        new("vip", Shapes.Name, "The virtual IP that clients use.", Required: true),
        new("port", Shapes.Port, "The port that clients use.", Required: true),
        new("protocol", new ChoiceShape("http", "tcp"), "http: each request is balanced, and an idempotent one is retried elsewhere when its node dies. tcp: each connection is balanced.", Required: true),
        new("balance", new ChoiceShape("two-choices", "round-robin", "least-requests", "source-hash", "header-hash", "cookie-hash"), "How work is spread: the less loaded of two at random, in turn, to the least loaded, or the same client address, header or cookie (named by `hash_of`) to the same instance.", Default: "two-choices"),
        new("to", new ChoiceShape("all", "primary", "standbys"), "primary: only to the owner of a single-active service. standbys: only to those that follow it, for reading (to the owner while none does).", Default: "all; primary for single-active services"),
        .. DoorKeys.All,
    ]);

    private static readonly KeysShape s_objectives = new("services.NAME.objectives",
    [
        new("rto", Shapes.Time("0", "52w"), "Recovery time objective: from disruption to restored service."),
        new("rpo", Shapes.Time("0", "52w"), "Recovery point objective: the greatest age of lost data; 0s is that no acknowledged write is lost."),
    ]);

    private static readonly KeysShape s_placement = new("services.NAME.placement",
    [
        new("prefer", Shapes.Names, "Nodes that it shall run on, the best first.", Default: "no preference"),
        new("avoid", Shapes.Names, "Nodes that it runs on only when there is no other.", Default: "none"),
        new("with", Shapes.Names, "Services that must share a node with it: it moves after them.", Default: "none"),
        new("apart", Shapes.Names, "Services that must not share a node with it: it is the one that moves.", Default: "none"),
        new("stickiness", new IntegerShape(0, 1_000_000), "How much staying is favoured over a better node; with, apart and capacity outweigh any, prefer and avoid move nothing that runs.", Default: "1000"),
        new("failback", Shapes.Boolean, "Whether it returns to a preferred node by itself.", Default: "false"),
        new("max_failures", new IntegerShape(1, 1000), "So many failures within failure_window move it to another node; fewer are mended by a restart where it is.", Default: "the first failure moves it"),
        new("failure_window", Shapes.Time("1s", "52w"), "How long a failure counts; evenkeel resume NODE forgets them.", Default: "10m"),
    ]);

    /// <summary>One service.</summary>
    public static readonly KeysShape Service = new("services.NAME",
    [
        new("process", s_process, "A program that the agent runs."),
        new("systemd", DriverKeys.Systemd, "A systemd unit that the agent starts and stops."),
        new("ocf", DriverKeys.Ocf, "A stock OCF resource agent, as for Pacemaker."),
        new("postgresql", s_postgresql, "A PostgreSQL cluster: one primary, and standbys that follow it."),
        new("redundancy", new ChoiceShape("cold", "warm", "hot"), "cold: started elsewhere when its node is lost. warm: a standby runs and is promoted. hot: all instances are active.", Required: true),
        new("activity", new ChoiceShape("single", "spread"), "single: one node acts at a time. spread: all instances act.", Default: "spread for hot, single for warm and cold"),
        new("instances", new IntegerShape(1, 1000), "How many instances of a spread service run, each on a node of its own; of PostgreSQL, how many nodes hold the data.", Default: "one on every node that is no witness; 1 for single; PostgreSQL: up to three nodes that are no witness"),
        new("port", Shapes.Port, "The port on the private address at which an instance is reached.", Default: "from `{private}:PORT` in the command; PostgreSQL: 5432"),
        new("health", s_health, "How its health is probed. Not for PostgreSQL, which is asked itself.", Default: "it is healthy while it runs"),
        new("publish", new ListShape(s_publish), "The doors by which clients reach it.", Default: "none"),
        new("objectives", s_objectives, "What must hold when something fails.", Default: "none"),
        new("requires", new ChoiceShape("quorum", "fencing"), "What a takeover from a lost node waits for. quorum: that its lease is over, with which its guard ends what it ran. fencing: that its fence device has confirmed it off; for what does not end with a lease, such as a writer of a shared disk.", Default: "fencing for systemd units and for OCF agents that run no process, quorum for all else"),
        new("drain_timeout", Shapes.Time("0s", "24h"), "What requests and connections under way may still take where an instance of a spread service is to stop (a drain, a change, fewer instances); new ones go to others. It ends sooner once the balancers have nothing under way with it, and after 2 s at the earliest.", Default: "30s"),
        new("depends_on", Shapes.Names, "Services that must be healthy before it starts; where they are to stop with it, it stops first.", Default: "none"),
        new("placement", s_placement, "Where it shall run.", Default: "anywhere"),
        new("needs", Shapes.Named(new NumberShape(0, 1e12)), "What an instance takes of the nodes' `capacity`.", Default: "nothing"),
        new("mounts", new ListShape(VolumeKeys.Mount), "Volumes that it works on, and where it finds them: `VOLUME:/PATH`. Cold services; a volume has one.", Default: "none"),
    ], OneOf: ["process", "systemd", "ocf", "postgresql"]);
}
