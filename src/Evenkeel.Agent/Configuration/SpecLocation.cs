using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration;

/// <summary>Relative paths in a cluster's file begin at the file's own directory.</summary>
public static class SpecLocation
{
    public static ClusterSpec In(ClusterSpec spec, string directory) => spec with
    {
        Alerts = [.. spec.Alerts.Select(alert => alert with { SecretFile = In(alert.SecretFile, directory), AuthorizationFile = In(alert.AuthorizationFile, directory), Command = In(alert.Command, directory) })],
        Coordination = spec.Coordination with
        {
            AuthorityFile = In(spec.Coordination.AuthorityFile, directory), CertificateFile = In(spec.Coordination.CertificateFile, directory), KeyFile = In(spec.Coordination.KeyFile, directory),
        },
        Telemetry = spec.Telemetry is { } telemetry ? telemetry with { AuthorizationFile = In(telemetry.AuthorizationFile, directory) } : null,
        Services = spec.Services.ToDictionary(pair => pair.Key, pair => pair.Value with { Driver = In(pair.Value.Driver, directory) }, StringComparer.Ordinal),
    };

    private static string? In(string? file, string directory) => file is null ? null : Path.GetFullPath(file, Path.GetFullPath(directory));

    // A bare name is looked for in PATH.
    private static IReadOnlyList<string>? In(IReadOnlyList<string>? command, string directory) =>
        command is { Count: > 0 } && command[0].Contains('/') ? [Path.GetFullPath(command[0], Path.GetFullPath(directory)), .. command.Skip(1)] : command;

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
