using Evenkeel.Agent.Configuration.Values;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration.Checks;

/// <summary>Each service in itself: redundancy, instances, probes, objectives.</summary>
internal static class ServiceChecks
{
    public static void All(Names names, ClusterSpec spec, Findings findings)
    {
        foreach (var service in spec.Services.Values)
        {
            var at = $"services.{service.Name}";
            Redundancies(service, at, findings);
            DriverChecks.All(service, spec, at, findings);
            if (names.Nodes.Count == spec.Nodes.Count)
                Instances(service, spec, at, findings);
            if (service.Driver is PostgreSqlDriverSpec postgresql)
                PostgreSqlChecks.One(service, postgresql, spec, at, findings);
            else if (service.Health is { } health)
                Probes(health, service, at + ".health", findings);
        }
    }

    private static void Redundancies(ServiceSpec service, string at, Findings findings)
    {
        if (service is { Redundancy: not Redundancy.Hot, Activity: Activity.Spread })
            findings.Error(at + ".activity", $"a {Word(service.Redundancy)} service has one active instance, 'spread' has many", "Write 'redundancy: hot', or remove 'activity: spread'");
        if (service is { Activity: Activity.SingleActive, Instances: > 1, Driver: not PostgreSqlDriverSpec })
            findings.Error(at + ".instances", $"a single-active service has one instance at a time, not {service.Instances}", "Remove 'instances', or write 'redundancy: hot' and 'activity: spread'");
        if (service is { Activity: Activity.Spread, Placement.MaxFailures: not null })
            findings.Error(at + ".placement.max_failures", "instances of a spread service stay on their nodes, however often they fail", "Remove 'max_failures', or write 'activity: single-active'");
        if (service is { Redundancy: Redundancy.Warm, Driver: ProcessDriverSpec { Promote: null } })
            findings.Error(at + ".process", "a warm standby must be promoted, but there is no 'promote' command", "Add 'promote: [COMMAND]' to 'process', or write 'redundancy: cold'");
        if (service is { Redundancy: not Redundancy.Warm, Driver: ProcessDriverSpec process } && (process.Promote ?? process.Demote) is not null)
            findings.Warning(at + ".process", "'promote' and 'demote' are for warm services; they are never run here", "Write 'redundancy: warm', or remove them");
    }

    private static void Instances(ServiceSpec service, ClusterSpec spec, string at, Findings findings)
    {
        var full = spec.Nodes.Values.Count(node => node.Role == NodeRole.Full);
        if (service.Instances > Math.Max(1, full))
            findings.Error(at + ".instances", $"{service.Instances} instances, but only {full} nodes that are no witness (each instance has a node of its own)", $"Write at most {full}, or add nodes");
        else if (full == 1 && spec.Nodes.Count > 1)
            findings.Warning(at, "only one node can run it: when that node is lost, so is the service", "Add a node that is no witness");
        if (service is { Redundancy: Redundancy.Hot, Activity: Activity.Spread, Instances: 1 } && full > 1)
            findings.Warning(at + ".instances", "one instance is not hot: its loss is an outage until another has started", "Write 2 or more, or 'redundancy: cold'");
    }

    private static void Probes(HealthSpec health, ServiceSpec service, string at, Findings findings)
    {
        if (health.Timeout > health.Every)
            findings.Error(at + ".timeout", $"a probe may take {Duration.Format(health.Timeout)}, but the next begins after {Duration.Format(health.Every)}",
                $"Write a timeout of at most {Duration.Format(health.Every)}, or a longer 'every'");
        if (health is { GrpcService: not null, Kind: not ProbeKind.Grpc })
            findings.Error(at + ".grpc_service", "only 'grpc' asks for it", "Write 'grpc: true', or remove the key");
        if (health.Kind != ProbeKind.Http && (health.Contains is not null || health.LeastStatus != 200 || health.GreatestStatus != 399))
            findings.Error(at, "only 'http' looks at 'status' and 'contains'", "Write 'http: PATH', or remove the keys");
        if (health.LeastStatus > health.GreatestStatus)
            findings.Error(at + ".status", "the first status is above the second", $"Write {health.GreatestStatus}-{health.LeastStatus}");
        if (health is { Host: not null, Kind: not (ProbeKind.Http or ProbeKind.Tls) })
            findings.Error(at + ".host", "only 'http' and 'tls' ask for it", "Write 'http: PATH' or 'tls: true', or remove the key");
        if (health.Kind is ProbeKind.Http or ProbeKind.Tcp or ProbeKind.Tls or ProbeKind.Grpc && service.Driver.Port is null)
            findings.Error(at, "there is no port to probe", "Add 'port: NUMBER' to the service, or write {private}:PORT in its command");
        var noticed = health.Every * health.Fall + health.Timeout;
        if (service.Objectives.Rto is { } rto && rto > TimeSpan.Zero && noticed > rto)
            findings.Warning(at, $"a hang is noticed after up to {Duration.Format(noticed)}, later than the RTO of {Duration.Format(rto)}", "Probe more often, or lower 'fall'");
    }

    private static string Word(Redundancy redundancy) => redundancy == Redundancy.Cold ? "cold" : "warm";
}
