using Evenkeel.Agent.Configuration.Yaml;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration.Checks;

/// <summary>What the parts say about each other: each check adds what it finds, none stops the others.</summary>
internal static class SenseCheck
{
    public static void All(YamlMap file, ClusterSpec spec, Findings findings)
    {
        var names = new Names(file);
        NetworkChecks.All(file, spec, findings);
        NodeChecks.All(names, spec, findings);
        ReferenceChecks.All(names, spec, findings);
        ServiceChecks.All(names, spec, findings);
        PublishChecks.All(names, spec, findings);
        CapacityChecks.All(spec, findings);
        TimingChecks.All(spec, findings);
        CoordinationChecks.All(spec, findings);
        AlertChecks.All(spec, findings);
        TelemetryChecks.All(spec, findings);
        ApiChecks.All(spec, findings);
        BackupChecks.All(names, spec, findings);
        VolumeChecks.All(file, names, spec, findings);
    }
}

/// <summary>What the file names, also where the thing itself could not be read: one mistake must not look like two.</summary>
internal sealed class Names(YamlMap file)
{
    public IReadOnlyList<string> Nodes { get; } = Of(file, "nodes");
    public IReadOnlyList<string> Vips { get; } = Of(file, "vips");
    public IReadOnlyList<string> Services { get; } = Of(file, "services");

    private static IReadOnlyList<string> Of(YamlMap file, string key) =>
        file.Get(key) is YamlMap map ? [.. map.Entries.Select(entry => entry.Key.Text)] : [];
}
