using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration;

/// <summary>Relative paths in a cluster's file begin at the file's own directory.</summary>
public static class SpecLocation
{
    public static ClusterSpec In(ClusterSpec spec, string directory) => spec with
    {
        Services = spec.Services.ToDictionary(pair => pair.Key, pair => pair.Value.Driver is ProcessDriverSpec process
            ? pair.Value with { Driver = process with { WorkingDirectory = Path.GetFullPath(process.WorkingDirectory ?? ".", Path.GetFullPath(directory)) } }
            : pair.Value, StringComparer.Ordinal),
    };
}
