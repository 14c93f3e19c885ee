using System.Globalization;
using Evenkeel.Agent.Configuration.Values;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration;

/// <summary>A spec as flat keys and texts, defaults filled in, under the same paths as in the file: what diffs compare.</summary>
internal static class SpecText
{
    public static SortedDictionary<string, string> Flatten(ClusterSpec spec)
    {
        var flat = new FlatText();
        flat.Add("cluster", spec.Cluster);
        flat.Add("networks.public", spec.Networks.AllPublic.Select(network => network.ToString()));
        flat.Add("networks.private", spec.Networks.Private.Select(network => network.ToString()));
        foreach (var vip in spec.Vips.Values)
        {
            flat.Add($"vips.{vip.Name}.address", $"{vip.Address}/{vip.PrefixLength}");
            flat.Add($"vips.{vip.Name}.group", vip.Group);
            flat.Add($"vips.{vip.Name}.prefer", vip.Prefer.Select(node => node.Value));
            if (vip.Hook is { } hook)
            {
                flat.Add($"vips.{vip.Name}.hook.command", hook.Command);
                flat.Add($"vips.{vip.Name}.hook.time_limit", hook.TimeLimit);
                flat.Add($"vips.{vip.Name}.hook.every", hook.Every);
            }
        }
        foreach (var node in spec.Nodes.Values)
            AddNode(flat, node, $"nodes.{node.Name}.");
        foreach (var service in spec.Services.Values)
            AddService(flat, service, $"services.{service.Name}.");
        foreach (var volume in spec.Volumes.Values)
            VolumeText.Add(flat, volume, $"volumes.{volume.Name}.");
        flat.Add("timings.beat", spec.Timings.Beat);
        flat.Add("timings.lease", spec.Timings.Lease);
        flat.Add("timings.detection", spec.Timings.Detection);
        flat.Add("timings.drift_bound", spec.Timings.DriftBound.ToString(CultureInfo.InvariantCulture));
        flat.Add("timings.loop_stall", spec.Timings.LoopStall);
        flat.Add("timings.agent_absence", spec.Timings.AgentAbsence);
        flat.Add("coordination", spec.Coordination.Kind.ToString().ToLowerInvariant());
        flat.Add("coordination.external", (spec.Coordination.Endpoints ?? []).Select(url => url.ToString()));
        flat.Add("coordination.ca_file", spec.Coordination.AuthorityFile);
        flat.Add("coordination.certificate_file", spec.Coordination.CertificateFile);
        flat.Add("coordination.key_file", spec.Coordination.KeyFile);
        foreach (var alert in spec.Alerts)
            AddAlert(flat, alert, $"alerts.{alert.Name}.");
        flat.Add("telemetry.otlp", spec.Telemetry?.Otlp.ToString());
        flat.Add("telemetry.protocol", spec.Telemetry?.Protocol.ToString().ToLowerInvariant());
        flat.Add("telemetry.authorization_file", spec.Telemetry?.AuthorizationFile);
        foreach (var (name, text) in spec.Telemetry?.Headers ?? new Dictionary<string, string>())
            flat.Add($"telemetry.headers.{name}", text);
        flat.Add("api.port", spec.Api?.Port.ToString(CultureInfo.InvariantCulture));
        flat.Add("api.listen", spec.Api?.Listen.ToString().ToLowerInvariant());
        foreach (var backup in spec.Backups.Values)
            BackupText.Add(flat, backup, $"backups.{backup.Name}.");
        return flat.Keys;
    }

    private static void AddAlert(FlatText flat, AlertReceiverSpec alert, string at)
    {
        flat.Add(at + "webhook", alert.Webhook?.ToString());
        flat.Add(at + "command", alert.Command ?? []);
        foreach (var (name, text) in alert.Headers)
            flat.Add($"{at}headers.{name}", text);
        flat.Add(at + "secret_file", alert.SecretFile);
        flat.Add(at + "authorization_file", alert.AuthorizationFile);
        flat.Add(at + "from", alert.From.ToString().ToLowerInvariant());
        flat.Add(at + "after", alert.After);
        flat.Add(at + "resolved", alert.Resolved);
        flat.Add(at + "repeat", alert.Repeat);
        flat.Add(at + "time_limit", alert.TimeLimit);
    }

    private static void AddNode(FlatText flat, NodeSpec node, string at)
    {
        flat.Add(at + "public", node.AllPublic.Select(address => address.ToString()));
        flat.Add(at + "private", node.Private.Select(address => address.ToString()));
        flat.Add(at + "role", node.Role == NodeRole.Witness ? "witness" : "full");
        flat.Add(at + "votes", node.Votes);
        flat.Add(at + "site", node.Site);
        flat.Add(at + "capacity.", node.Capacity);
        DriverText.Add(flat, node.Fence, at + "fence");
    }

    private static void AddService(FlatText flat, ServiceSpec service, string at)
    {
        flat.Add(at + "redundancy", service.Redundancy.ToString().ToLowerInvariant());
        flat.Add(at + "activity", service.Activity == Activity.SingleActive ? "single" : "spread");
        flat.Add(at + "instances", service.Instances.ToString(CultureInfo.InvariantCulture));
        if (service.Driver is ProcessDriverSpec process)
            AddProcess(flat, process, at);
        DriverText.Add(flat, service.Driver, at);
        if (service.Driver is PostgreSqlDriverSpec postgresql)
            AddPostgreSql(flat, postgresql, at);
        if (service.Health is { } health)
        {
            flat.Add(at + "health.probe", health.Kind.ToString().ToLowerInvariant());
            flat.Add(at + "health.http", health.Path);
            if (health.Kind == ProbeKind.Http)
                flat.Add(at + "health.status", string.Create(CultureInfo.InvariantCulture, $"{health.LeastStatus}-{health.GreatestStatus}"));
            flat.Add(at + "health.contains", health.Contains);
            flat.Add(at + "health.host", health.Host);
            flat.Add(at + "health.grpc_service", health.GrpcService);
            flat.Add(at + "health.script", health.Command ?? []);
            flat.Add(at + "health.every", health.Every);
            flat.Add(at + "health.timeout", health.Timeout);
            flat.Add(at + "health.rise", health.Rise.ToString(CultureInfo.InvariantCulture));
            flat.Add(at + "health.fall", health.Fall.ToString(CultureInfo.InvariantCulture));
        }
        DoorText.Add(flat, service.Publish, at);
        flat.Add(at + "objectives.rto", service.Objectives.Rto);
        flat.Add(at + "objectives.rpo", service.Objectives.Rpo);
        flat.Add(at + "requires", service.Requires.ToString().ToLowerInvariant());
        flat.Add(at + "depends_on", service.DependsOn);
        flat.Add(at + "drain_timeout", service.DrainTimeout);
        flat.Add(at + "placement.prefer", service.Placement.Prefer.Select(node => node.Value));
        flat.Add(at + "placement.avoid", service.Placement.Avoid.Select(node => node.Value));
        flat.Add(at + "placement.with", service.Placement.With);
        flat.Add(at + "placement.apart", service.Placement.Apart);
        flat.Add(at + "placement.stickiness", service.Placement.Stickiness.ToString(CultureInfo.InvariantCulture));
        flat.Add(at + "placement.failback", service.Placement.Failback);
        flat.Add(at + "placement.max_failures", service.Placement.MaxFailures?.ToString(CultureInfo.InvariantCulture));
        flat.Add(at + "placement.failure_window", service.Placement.FailureWindow);
        flat.Add(at + "needs.", service.Needs);
        flat.Add(at + "mounts", service.Mounts.Select(mount => $"{mount.Volume}:{mount.Path}"));
    }

    private static void AddProcess(FlatText flat, ProcessDriverSpec process, string at)
    {
        flat.Add(at + "process.command", process.Command);
        foreach (var (name, value) in process.Environment)
            flat.Add(at + "process.environment." + name, value);
        flat.Add(at + "process.working_directory", process.WorkingDirectory);
        flat.Add(at + "process.user", process.User);
        flat.Add(at + "port", process.Port?.ToString(CultureInfo.InvariantCulture));
        flat.Add(at + "process.stop_signal", process.StopSignal);
        flat.Add(at + "process.stop_timeout", process.StopTimeout);
        flat.Add(at + "process.start_timeout", process.StartTimeout);
        flat.Add(at + "process.prepare", process.Prepare ?? []);
        flat.Add(at + "process.promote", process.Promote ?? []);
        flat.Add(at + "process.demote", process.Demote ?? []);
    }

    private static void AddPostgreSql(FlatText flat, PostgreSqlDriverSpec postgresql, string at)
    {
        flat.Add(at + "postgresql.data", postgresql.Data);
        flat.Add(at + "port", postgresql.Port?.ToString(CultureInfo.InvariantCulture));
        flat.Add(at + "postgresql.binaries", postgresql.Binaries);
        flat.Add(at + "postgresql.user", postgresql.User);
        foreach (var (name, value) in postgresql.Parameters)
            flat.Add(at + "postgresql.parameters." + name, value);
        flat.Add(at + "postgresql.pg_hba", postgresql.HostBasedAuthentication);
        flat.Add(at + "postgresql.initdb", postgresql.InitialiseWith);
        flat.Add(at + "postgresql.restore", postgresql.Restore ?? []);
        flat.Add(at + "postgresql.on_change", postgresql.OnChange ?? []);
        flat.Add(at + "postgresql.synchronous_standbys", postgresql.SynchronousStandbys.ToString(CultureInfo.InvariantCulture));
        flat.Add(at + "postgresql.quorum", postgresql.Quorum);
        flat.Add(at + "postgresql.strict", postgresql.Strict);
        flat.Add(at + "postgresql.max_lag", postgresql.MostLag?.ToString(CultureInfo.InvariantCulture));
        flat.Add(at + "postgresql.start_timeout", postgresql.StartTimeout);
        flat.Add(at + "postgresql.stop_timeout", postgresql.StopTimeout);
    }

    /// <summary>Tells that a secret changed, never what it is.</summary>
    public static string Secret(string secret) => "secret " +
        Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(secret)))[..8];
}
