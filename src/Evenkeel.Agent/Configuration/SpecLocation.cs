using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration;

/// <summary>Relative paths in a cluster's file begin at the file's own directory.</summary>
public static class SpecLocation
{
    public static ClusterSpec In(ClusterSpec spec, string directory) => spec with
    {
        Services = spec.Services.ToDictionary(pair => pair.Key, pair => pair.Value with { Driver = In(pair.Value.Driver, directory) }, StringComparer.Ordinal),
    };

    internal static DriverSpec In(DriverSpec driver, string directory) => driver switch
    {
        ProcessDriverSpec process => process with { WorkingDirectory = Path.GetFullPath(process.WorkingDirectory ?? ".", Path.GetFullPath(directory)) },
        PostgreSqlDriverSpec postgresql => postgresql with
        {
            Data = Path.GetFullPath(postgresql.Data, Path.GetFullPath(directory)),
            Binaries = postgresql.Binaries is { } binaries ? Path.GetFullPath(binaries, Path.GetFullPath(directory)) : null,
        },
        _ => driver,
    };
}
