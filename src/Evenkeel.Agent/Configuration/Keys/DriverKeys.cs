namespace Evenkeel.Agent.Configuration.Keys;

/// <summary>The keys of services that are no plain processes.</summary>
internal static class DriverKeys
{
    public static readonly KeysShape Ocf = new("services.NAME.ocf",
    [
        new("agent", new TextShape("PROVIDER:TYPE such as heartbeat:redis", "(ocf:)?[A-Za-z0-9_.-]+:[A-Za-z0-9_.-]+"), "The resource agent, as it is installed under `/usr/lib/ocf/resource.d`; it is run unchanged.", Required: true),
        new("parameters", new NamesShape("a parameter's name", "[A-Za-z_][A-Za-z0-9_]*", Shapes.Text), "The agent's parameters (`OCF_RESKEY_…`), checked against its meta-data before a start. `{private}`, `{public}`, `{node}` and `{port}` are filled in.", Default: "the agent's own defaults"),
        new("monitor", Shapes.Time("100ms", "1h"), "Time between two monitor actions.", Default: "1s"),
        new("monitor_timeout", Shapes.Time("100ms", "1h"), "A monitor action that takes longer has failed.", Default: "20s"),
        new("start_timeout", Shapes.Time("100ms", "24h"), "How long its start may take.", Default: "30s"),
        new("stop_timeout", Shapes.Time("100ms", "24h"), "How long its stop may take; a stop that fails needs fencing.", Default: "10s"),
        new("promote_timeout", Shapes.Time("100ms", "24h"), "Warm services: how long its promotion may take.", Default: "30s"),
        new("nodes_by", new ChoiceShape("name", "address"), "What the agent is told nodes are called: `address` for agents that connect to a node by its name, such as heartbeat:redis, where names do not resolve.", Default: "name"),
    ]);

    public static readonly KeysShape Systemd = new("services.NAME.systemd",
    [
        new("unit", new TextShape("a unit's name such as reports.service", "[A-Za-z0-9:_.@\\\\-]+\\.(service|target|socket|mount|timer|path|slice|scope|swap|automount)"), "The unit, disabled at boot, on every node that may run it.", Required: true),
        new("start_timeout", Shapes.Time("100ms", "24h"), "How long its start job may take.", Default: "30s"),
        new("stop_timeout", Shapes.Time("100ms", "24h"), "How long its stop job may take; then it is killed.", Default: "10s"),
    ]);
}
