using System.Net;
using Evenkeel.Agent.Configuration.Yaml;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration;

/// <summary>
/// Turns the file's tree into a spec, with defaults filled in. Nodes, VIPs and services that lack what they must have are
/// left out: the shape check has reported them, and the spec will not be used.
/// </summary>
internal sealed class SpecReader(Reading file)
{
    public ClusterSpec Read()
    {
        var networks = ReadNetworks();
        var nodes = Each("nodes", ReadNode).ToDictionary(node => node.Name);
        return new ClusterSpec
        {
            Cluster = file.Text("cluster") ?? "",
            Networks = networks,
            Vips = file.Entries("vips").Select(entry => ReadVip(entry.Name, entry.Value, entry.Path, networks)).OfType<VipSpec>()
                .ToDictionary(vip => vip.Name, StringComparer.Ordinal),
            Nodes = nodes,
            Services = Each("services", new ServiceReader(nodes.Values.Count(node => node.Role != NodeRole.Witness)).Read)
                .ToDictionary(service => service.Name, StringComparer.Ordinal),
            Volumes = Each("volumes", VolumeReader.Read).ToDictionary(volume => volume.Name, StringComparer.Ordinal),
            Timings = ReadTimings(),
            Coordination = ReadCoordination(),
            Alerts = [.. Each("alerts", ReadAlert)],
            Telemetry = file.Inner("telemetry") is { } telemetry ? ReadTelemetry(telemetry) : null,
            Api = file.Inner("api") is not { } api ? null : new ApiSpec(
                api.Integer("port") ?? ApiSpec.StandardPort, api.Text("listen") switch { "public" => ApiListen.Public, "both" => ApiListen.Both, _ => ApiListen.Private }),
            Backups = Each("backups", BackupReader.Read).ToDictionary(backup => backup.Name, StringComparer.Ordinal),
        };
    }

    private IEnumerable<T> Each<T>(string key, Func<string, Reading, T?> read) where T : class =>
        file.Entries(key).Select(entry => entry.Value is YamlMap map ? read(entry.Name, new Reading(map, entry.Path)) : null).OfType<T>();

    private NetworksSpec ReadNetworks()
    {
        var networks = file.Inner("networks");
        var open = networks?.Networks("public") ?? [];
        return new NetworksSpec(open.Count == 0 ? null : open[0], networks?.Networks("private") ?? []) { FurtherPublic = [.. open.Skip(1)] };
    }

    private static VipSpec? ReadVip(string name, YamlValue value, string path, NetworksSpec networks)
    {
        // The short form, `front: 203.0.113.10`, is the long one with an address alone.
        var reading = value as YamlMap is { } map ? new Reading(map, path)
            : new Reading(new YamlMap(value.Line, value.Column, [new(new YamlScalar(value.Line, value.Column, "address", false), value)]), path);
        return reading.Address("address") is not { } address ? null : new VipSpec
        {
            Name = name,
            Address = address,
            PrefixLength = networks.AllPublic.Where(network => network.Contains(address)).Select(network => (int?)network.PrefixLength).FirstOrDefault()
                ?? 8 * address.GetAddressBytes().Length,
            Group = reading.Text("group"),
            Prefer = reading.Nodes("prefer"),
            Hook = reading.Inner("hook") is { } hook && hook.Command("command") is { } command ? ReadHook(hook, new VipHookSpec(command)) : null,
        };
    }

    private static VipHookSpec ReadHook(Reading hook, VipHookSpec standard) =>
        standard with { TimeLimit = hook.Time("time_limit") ?? standard.TimeLimit, Every = hook.Time("every") ?? standard.Every };

    private static NodeSpec? ReadNode(string name, Reading node)
    {
        var links = node.Addresses("private");
        var open = node.Addresses("public");
        return links.Count == 0 ? null : new NodeSpec
        {
            Name = new NodeName(name),
            Public = open.Count == 0 ? null : open[0],
            FurtherPublic = [.. open.Skip(1)],
            Private = links,
            Role = node.Text("role") == "witness" ? NodeRole.Witness : NodeRole.Full,
            Votes = node.Boolean("votes") ?? true,
            Site = node.Text("site"),
            Capacity = node.Numbers("capacity"),
            Fence = FenceReader.Read(node),
        };
    }

    private Timings ReadTimings()
    {
        var standard = Timings.Default;
        return file.Inner("timings") is not { } timings ? standard : new Timings
        {
            Beat = timings.Time("beat") ?? standard.Beat,
            Lease = timings.Time("lease") ?? standard.Lease,
            Detection = timings.Time("detection") ?? standard.Detection,
            DriftBound = timings.Number("drift_bound") ?? standard.DriftBound,
            LoopStall = timings.Time("loop_stall") ?? standard.LoopStall,
            AgentAbsence = timings.Time("agent_absence") ?? standard.AgentAbsence,
        };
    }

    private static AlertReceiverSpec? ReadAlert(string name, Reading alert)
    {
        var standard = new AlertReceiverSpec { Name = name };
        return standard with
        {
            Webhook = Uri.TryCreate(alert.Text("webhook"), UriKind.Absolute, out var url) ? url : null,
            Command = alert.Command("command"),
            Headers = alert.TextMap("headers"),
            SecretFile = alert.Text("secret_file"),
            AuthorizationFile = alert.Text("authorization_file"),
            From = alert.Text("from") switch { "note" => Concern.Note, "down" => Concern.Down, _ => Concern.Degraded },
            After = alert.Time("after") ?? standard.After,
            Resolved = alert.Boolean("resolved") ?? standard.Resolved,
            Repeat = alert.Time("repeat"),
            TimeLimit = alert.Time("time_limit") ?? standard.TimeLimit,
        };
    }

    private static TelemetrySpec? ReadTelemetry(Reading telemetry) => !Uri.TryCreate(telemetry.Text("otlp"), UriKind.Absolute, out var url) ? null : new TelemetrySpec(url)
    {
        Protocol = telemetry.Text("protocol") == "grpc" ? OtlpProtocol.Grpc : OtlpProtocol.Http,
        Headers = telemetry.TextMap("headers"),
        AuthorizationFile = telemetry.Text("authorization_file"),
    };

    private CoordinationSpec ReadCoordination() => file.Inner("coordination") is { } external
        ? new CoordinationSpec(CoordinationKind.External,
            [.. external.Texts("external").Select(text => Uri.TryCreate(text, UriKind.Absolute, out var url) ? url : null).OfType<Uri>()])
        {
            AuthorityFile = external.Text("ca_file"), CertificateFile = external.Text("certificate_file"), KeyFile = external.Text("key_file"),
        }
        : new CoordinationSpec(file.Text("coordination") == "embedded" ? CoordinationKind.Embedded : CoordinationKind.Managed);
}
