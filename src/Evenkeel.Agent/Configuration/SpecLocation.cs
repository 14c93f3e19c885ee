using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration;

/// <summary>
/// Relative paths in a cluster's file begin at the file's own directory. What is made of such paths (the archiving of what is
/// backed up) is made here.
/// </summary>
public static class SpecLocation
{
    public static ClusterSpec In(ClusterSpec spec, string directory) => BackupReader.Archiving(spec with
    {
        Alerts = [.. spec.Alerts.Select(alert => alert with { SecretFile = In(alert.SecretFile, directory), AuthorizationFile = In(alert.AuthorizationFile, directory), Command = In(alert.Command, directory) })],
        Coordination = spec.Coordination with
        {
            AuthorityFile = In(spec.Coordination.AuthorityFile, directory), CertificateFile = In(spec.Coordination.CertificateFile, directory), KeyFile = In(spec.Coordination.KeyFile, directory),
        },
        Telemetry = spec.Telemetry is { } telemetry ? telemetry with { AuthorizationFile = In(telemetry.AuthorizationFile, directory) } : null,
        Backups = spec.Backups.ToDictionary(pair => pair.Key, pair => pair.Value with { Repository = In(pair.Value.Repository, directory), Second = pair.Value.Second is { } second ? In(second, directory) : null }, StringComparer.Ordinal),
        Services = spec.Services.ToDictionary(pair => pair.Key, pair => pair.Value with { Driver = In(pair.Value.Driver, directory) }, StringComparer.Ordinal),
    });

    private static BackupPlace In(BackupPlace place, string directory) => place with
    {
        // A place with a colon before its first slash is a server's.
        Location = place.Location.Split('/')[0].Contains(':', StringComparison.Ordinal) ? place.Location : In(place.Location, directory)!,
        PasswordFile = In(place.PasswordFile, directory)!, CredentialsFile = In(place.CredentialsFile, directory),
        MaintenanceFile = In(place.MaintenanceFile, directory), AuthorityFile = In(place.AuthorityFile, directory),
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
