using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Services.Process;

namespace Evenkeel.Services.PostgreSql;

/// <summary>
/// One instance on this node: its orders, one action at a time, and what follows when its server ends. Another order takes the
/// place of a start that is under way; a primary that has crashed waits for an order, for its lease may be over.
/// </summary>
internal sealed class PostgreSqlInstance : IAsyncDisposable
{
    /// <summary>A standby that has not answered for so long after its start may never do.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(3);

    private readonly InstanceReport _report;
    private readonly ActionTurns _turns = new();
    private readonly HostedServer _server;
    private readonly RoleChanges _changes = new();
    private readonly ChangeCommands _commands = new();
    private readonly Backoff _backoff = new();
    private readonly Lock _gate = new();
    private CancellationTokenSource? _starting;
    private bool _wanted;

    public PostgreSqlInstance(string service, IGuardLink guard, PostgreSqlSettings settings, Action<InstanceFacts> tell)
    {
        _report = new InstanceReport(service, facts =>
        {
            tell(facts);
            Observe(facts);
        });
        _server = new HostedServer(service, guard, settings, _report, FollowAsync, _turns.Closing);
        _server.Process.Ended += OnEnded;
        _server.Process.Lingers += () => _server.BecomeStuck(UnkillableProcess.Left);
    }

    public InstanceFacts Facts => _report.Facts;
    public GuardedProcess Process => _server.Process;

    public void OnAdopted(RunningInstance running)
    {
        Process.OnAdopted(running);
        _changes.Adopted();
        _report.Set(facts => facts.ProcessId == running.ProcessId ? facts : facts with { Status = InstanceStatus.Running, ProcessId = running.ProcessId });
    }

    public Task<ActionResult> StartAsync(InstanceOrder order, CancellationToken cancellation)
    {
        lock (_gate)
        {
            _wanted = true;
            if (_starting is { } starting && !(order.Epoch == _server.Order?.Epoch && order.Replication?.Upstream == _server.Order?.Replication?.Upstream))
            {
                starting.Cancel();
            }
        }

        return _turns.RunAsync(async token =>
        {
            using var current = CancellationTokenSource.CreateLinkedTokenSource(token);
            lock (_gate)
            {
                _starting = current;
            }

            try
            {
                var started = await _server.MakeSoAsync(order, current.Token).ConfigureAwait(false);
                if (!started.Succeeded && Process.Id is null)
                {
                    _report.Set(facts => facts with { Status = InstanceStatus.Failed, Health = Core.Model.Health.Unhealthy, Detail = started.Reason!, Epoch = null });
                }

                return started;
            }
            finally
            {
                lock (_gate)
                {
                    _starting = null;
                }
            }
        }, order.Spec.Driver.StartTimeout, cancellation);
    }

    public Task<ActionResult> LookAsync(InstanceOrder order, CancellationToken cancellation) =>
        _turns.RunAsync(token => _server.LookAsync(order, token), order.Spec.Driver.StartTimeout, cancellation);

    public Task<ActionResult> StopAsync(CancellationToken cancellation)
    {
        GiveUpStarting();
        return _turns.RunAsync(async token =>
        {
            lock (_gate)
            {
                _wanted = false;
            }

            var stopped = await _server.EndAsync(token).ConfigureAwait(false);
            if (stopped.Succeeded)
            {
                _report.Set(facts => facts with { Status = InstanceStatus.Stopped, Health = Core.Model.Health.Unknown, Epoch = null, ProcessId = null, Detail = "" });
            }

            return stopped;
        }, Timeout.InfiniteTimeSpan, cancellation);
    }

    /// <summary>
    /// It ends in order, so that its standbys get everything; as a standby it is started again by an order. To wait here until it runs
    /// as one would keep the lease from the next primary, on a full disk for ever.
    /// </summary>
    public Task<ActionResult> DemoteAsync(CancellationToken cancellation)
    {
        GiveUpStarting();
        return _turns.RunAsync(_server.EndAsync, Timeout.InfiniteTimeSpan, cancellation);
    }

    public Task<ActionResult> PromoteAsync(Epoch epoch, CancellationToken cancellation) =>
        _turns.RunAsync(token => _server.PromoteAsync(epoch, token), _server.Order?.Spec.Driver.StartTimeout ?? Timeout.InfiniteTimeSpan, cancellation);

    public async ValueTask DisposeAsync()
    {
        GiveUpStarting();
        await _turns.DisposeAsync().ConfigureAwait(false);
        await _server.DisposeAsync().ConfigureAwait(false);
        await _commands.DisposeAsync().ConfigureAwait(false);
    }

    // In the report's own order.
    private void Observe(InstanceFacts facts)
    {
        if (_changes.Observe(facts) is { } change && _server.Place is { } place && (_server.Order?.Spec.Driver as PostgreSqlDriverSpec)?.OnChange is { } command)
        {
            _commands.Add(change, command, place);
        }
    }

    private void OnEnded(string reason)
    {
        _server.Forget();
        bool again;
        lock (_gate)
        {
            // Never a primary by itself: the guard ends it when its lease is over, and only an order knows of another.
            again = _wanted && !_server.Ending && _server.Order is { Epoch: null };
            var failed = _wanted && !_server.Ending;
            _report.Set(facts => facts with
            {
                Status = failed ? InstanceStatus.Failed : InstanceStatus.Stopped,
                Health = failed ? Core.Model.Health.Unhealthy : Core.Model.Health.Unknown,
                Epoch = null,
                ProcessId = null,
                Detail = failed ? $"{reason}{ServerLog.LastComplaint(_server.Place?.LogFile)}" : "",
                Restarts = facts.Restarts + (failed ? 1 : 0),
                Replication = facts.Replication is { } before ? new ReplicationFacts { Data = before.Data, Timeline = before.Timeline } : null,
            });
        }

        _ = AfterEndAsync(again ? _backoff.Next(DateTime.UtcNow - _server.StartedAt) : null);
    }

    private async Task AfterEndAsync(TimeSpan? restartAfter)
    {
        try
        {
            await _server.TellDataAsync(_turns.Closing).ConfigureAwait(false);
            if (restartAfter is { } pause)
            {
                await Task.Delay(pause, _turns.Closing).ConfigureAwait(false);
                if (_wanted && _server.Order is { Epoch: null } order && Process.Id is null)
                {
                    await StartAsync(order, _turns.Closing).ConfigureAwait(false);
                }
            }
        }
        catch (Exception failure) when (failure is OperationCanceledException or ObjectDisposedException or IOException or UnauthorizedAccessException)
        {
            // The agent stops.
        }
    }

    /// <summary>Asked about once a second while a standby runs: what can never follow by itself again is mended.</summary>
    /// <param name="status">Null while it has not come to answer.</param>
    private async Task FollowAsync(ServerStatus? status)
    {
        if (status is { Receiving: true })
        {
            _server.Streamed = DateTime.UtcNow;
        }

        var (order, place, waits) = (_server.Order, _server.Place, DateTime.UtcNow - _server.Streamed);
        if (order is not { Epoch: null, Replication.Upstream: { } upstream } || place is null || waits < (status is null ? Silence : TimeSpan.FromSeconds(1)))
        {
            return;
        }

        var preparation = new DataPreparation(place, order, _server.Say);
        var patient = status is null && waits < order.Spec.Driver.StartTimeout;
        if (await LostUpstream.FindAsync(place, upstream, preparation, status, patient, _turns.Closing).ConfigureAwait(false) is not { } lost)
        {
            return;
        }

        await _turns.RunAsync(async token =>
        {
            if (_server.Order != order || !_wanted || Process.Id is null)
            {
                return ActionResult.Success; // Decided anew meanwhile.
            }

            if (await _server.EndAsync(token).ConfigureAwait(false) is { Succeeded: false } stays)
            {
                return stays;
            }

            var mended = await lost.MendAsync(preparation, token).ConfigureAwait(false);
            if (mended.Succeeded)
            {
                return await _server.LaunchAsync(token).ConfigureAwait(false);
            }

            _report.Set(now => now with { Status = InstanceStatus.Failed, Health = Core.Model.Health.Unhealthy, Detail = mended.Reason! });
            _ = AfterEndAsync(_backoff.Next(TimeSpan.Zero));
            return mended;
        }, order.Spec.Driver.StartTimeout, _turns.Closing).ConfigureAwait(false);
    }

    private void GiveUpStarting()
    {
        lock (_gate)
        {
            _starting?.Cancel();
        }
    }
}
