using System.Threading.Channels;
using Evenkeel.Core.Model;

namespace Evenkeel.Services.PostgreSql;

/// <summary>What happened to an instance, as Patroni's callbacks name it.</summary>
/// <param name="Role"><c>primary</c> or <c>replica</c>: after a stop, what it was.</param>
internal sealed record RoleChange(string Action, string Role);

/// <summary>Tells changes of an instance from what is said of it. What an earlier agent left running has not just started.</summary>
internal sealed class RoleChanges
{
    private string? _role;
    private bool _adopted;

    public void Adopted() => _adopted = true;

    /// <returns>Null when nothing of interest changed.</returns>
    public RoleChange? Observe(InstanceFacts facts)
    {
        // Before it has answered nobody knows as what it runs.
        var role = facts.Status switch
        {
            InstanceStatus.Running => facts is { Health: Core.Model.Health.Healthy, Replication: not null } ? facts.Epoch is null ? "replica" : "primary" : _role,
            InstanceStatus.Stopped or InstanceStatus.Failed => null,
            _ => _role,
        };
        var (before, found) = (_role, _adopted && role is not null);
        _role = role;
        _adopted &= role is null;
        return before == role || found ? null
            : role is null ? new RoleChange("on_stop", before!)
            : new RoleChange(before is null ? "on_start" : "on_role_change", role);
    }
}

/// <summary>Runs the file's command for each change, one after the other and in order; nobody waits for it, and its failure is a line in the log.</summary>
internal sealed class ChangeCommands : IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);
    private const int MostWaiting = 16;
    private readonly Channel<Func<CancellationToken, Task>> _waiting = Channel.CreateBounded<Func<CancellationToken, Task>>(new BoundedChannelOptions(MostWaiting) { FullMode = BoundedChannelFullMode.DropOldest });
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _work;

    public ChangeCommands() => _work = Task.Run(RunAsync);

    public void Add(RoleChange change, IReadOnlyList<string> command, Place place) => _waiting.Writer.TryWrite(async cancellation =>
    {
        var ended = await Tool.RunAsync([.. command, change.Action, change.Role, place.Service], place.User, Limit, cancellation).ConfigureAwait(false);
        var text = $"{ended.Output}{ended.Error}{(ended.Code == 0 ? "" : $"{command[0]} {change.Action} {change.Role}: exit code {ended.Code}\n")}";
        if (text.Length > 0)
        {
            await File.AppendAllTextAsync(place.LogFile, text.EndsWith('\n') ? text : text + "\n", cancellation).ConfigureAwait(false);
        }
    });

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _work.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        await foreach (var run in _waiting.Reader.ReadAllAsync(_stop.Token).ConfigureAwait(false))
        {
            try
            {
                await run(_stop.Token).ConfigureAwait(false);
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                // The log cannot be written; the database does not wait for it.
            }
        }
    }
}
