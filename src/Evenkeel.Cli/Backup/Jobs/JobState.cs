using System.Text.Json;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Host.Backups;
using Evenkeel.Agent.Setup;
using Evenkeel.Core.Loop.Ports;

namespace Evenkeel.Cli.Backup;

/// <summary>
/// Evenkeel's own state, ready to be backed up: a snapshot of the coordination store beside what this node keeps (its
/// certificates, its configuration, the audit trail). The store's live files are left out: copied while they change they would be no state at all.
/// </summary>
internal sealed class JobState : IDisposable
{
    private readonly string _export;

    private JobState(string export, IReadOnlyList<string> paths, IReadOnlyList<string> excludes, IReadOnlyList<string> warnings) =>
        (_export, Paths, Excludes, Warnings) = (export, paths, excludes, warnings);

    public IReadOnlyList<string> Paths { get; }
    public IReadOnlyList<string> Excludes { get; }
    public IReadOnlyList<string> Warnings { get; }

    public static async Task<JobState> TakeAsync(BackupOrder order, CancellationToken cancellation)
    {
        var state = Path.GetFullPath(order.StateDirectory);
        var export = Path.Combine(Directory.CreateDirectory(Path.Combine(state, "backup"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute).FullName, "store.db");
        File.Delete(export);
        var warnings = new List<string>();
        try
        {
            var configuration = AgentConfiguration.Load(Path.Combine(state, NodeSetup.ConfigurationFile));
            if (configuration.Store == StoreKind.Etcd)
            {
                await StateExport.TakeAsync(configuration with { StateDirectory = state }, export, cancellation).ConfigureAwait(false);
            }
            else
            {
                warnings.Add("this cluster's coordination store is no etcd, and no snapshot of it was taken");
            }
        }
        catch (Exception e) when (e is StoreUnavailableException or IOException or InvalidDataException or UnauthorizedAccessException or JsonException)
        {
            warnings.Add($"no snapshot of the coordination store was taken: {e.Message}");
        }
        string[] kept = Directory.Exists("/etc/evenkeel") && !state.StartsWith("/etc/evenkeel", StringComparison.Ordinal) ? ["/etc/evenkeel", state] : [state];
        return new JobState(export, kept, [$"{state}/etcd", $"{state}/logs", $"{state}/*.log", $"{state}/*.pid", $"{state}/*.sock"], warnings);
    }

    public void Dispose() => File.Delete(_export);
}
