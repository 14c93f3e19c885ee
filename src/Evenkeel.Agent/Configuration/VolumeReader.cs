using Evenkeel.Agent.Configuration.Values;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration;

/// <summary>Reads volumes, and where services mount them.</summary>
internal static class VolumeReader
{
    private const int FirstPort = 7820, Ports = 100;

    public static VolumeSpec? Read(string name, Reading volume)
    {
        var legs = volume.Texts("members").Select(Split).OfType<(string, string)>().Select(leg => new VolumeLeg(new NodeName(leg.Item1), leg.Item2)).ToList();
        if (volume.Integer("raid") is not { } level || Size(volume, "size") is not { } size || legs.Count == 0)
            return null;
        var standard = new VolumeSpec { Name = name, Level = level, Size = size, Legs = legs };
        return standard with
        {
            Port = volume.Integer("port") ?? PortOf(name),
            FileSystem = volume.Text("filesystem") ?? standard.FileSystem,
            LegTimeout = volume.Time("leg_timeout") ?? standard.LegTimeout,
            Strict = volume.Boolean("strict") ?? standard.Strict,
            SyncRate = Size(volume, "sync_rate"),
            Asynchronous = Asynchronous(volume, legs),
            Backlog = Size(volume, "backlog") ?? standard.Backlog,
            BlockOnCongestion = volume.Text("on_congestion") == "block",
            AcceptLoss = volume.Boolean("accept_loss") ?? standard.AcceptLoss,
        };
    }

    public static IReadOnlyList<MountSpec> Mounts(Reading service) =>
        [.. service.Texts("mounts").Select(Split).OfType<(string, string)>().Select(mount => new MountSpec(mount.Item1, mount.Item2))];

    // The same on every node, whatever other volumes come and go (FNV-1a, 32 bits).
    internal static int PortOf(string name) => FirstPort + (int)(name.Aggregate(2166136261u, (hash, letter) => (hash ^ letter) * 16777619u) % Ports);

    private static IReadOnlyList<NodeName> Asynchronous(Reading volume, List<VolumeLeg> legs)
    {
        List<NodeName> named = [.. volume.Texts("asynchronous").Select(name => new NodeName(name))];
        return named.Count > 0 || volume.Text("protocol") != "async" ? named : [.. legs.Skip(1).Select(leg => leg.Node)];
    }

    private static (string, string)? Split(string text) => text.IndexOf(':', StringComparison.Ordinal) is > 0 and var colon ? (text[..colon], text[(colon + 1)..]) : null;

    private static long? Size(Reading reading, string key) => reading.Text(key) is { } text && ByteSize.TryParse(text, out var bytes) ? bytes : null;
}
