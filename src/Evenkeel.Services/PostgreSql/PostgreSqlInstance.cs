using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Services.Process;
using Npgsql;

namespace Evenkeel.Services.PostgreSql;

/// <summary>
/// One instance on this node: one action at a time on it, a watch over it, and the guard that runs it. Another order takes the
/// place of a start that is under way; a primary that has crashed waits for an order, for its lease may be over.
/// </summary>
internal sealed class PostgreSqlInstance : IAsyncDisposable
{
    private static readonly TimeSpan CheckpointLimit = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan AnswerStep = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LaunchRetries = TimeSpan.FromSeconds(3);
    private readonly PostgreSqlSettings _settings;
    private readonly GuardedProcess _process;
    private readonly ServerControl _control;
    private readonly InstanceReport _report;
    private readonly ServerWatch _watch;
    private readonly Backoff _backoff = new();
    private readonly SemaphoreSlim _turn = new(1);
    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _closing = new();
    private CancellationTokenSource? _starting;
    private InstanceOrder? _order;
    private Place? _place;
    private LocalConnection? _server;
    private string _note = "";
    private bool _wanted;
    private bool _ending;
    private DateTime _startedAt;
    private DateTime _streamed = DateTime.UtcNow;

    public PostgreSqlInstance(string service, IGuardLink guard, PostgreSqlSettings settings, Action<InstanceFacts> tell)
    {
        _settings = settings;
        _report = new InstanceReport(service, tell);
        _process = new GuardedProcess(service, guard);
        _control = new ServerControl(_process);
        _process.Ended += OnEnded;
        _watch = new ServerWatch(_report, FollowAsync);
    }

    public InstanceFacts Facts => _report.Facts;
    public GuardedProcess Process => _process;
    private PostgreSqlDriverSpec Spec => (PostgreSqlDriverSpec)_order!.Spec.Driver;

    public void OnAdopted(RunningInstance running)
    {
        _process.OnAdopted(running);
        _report.Set(facts => facts.ProcessId == running.ProcessId ? facts : facts with { Status = InstanceStatus.Running, ProcessId = running.ProcessId });
    }

    public Task<ActionResult> StartAsync(InstanceOrder order, CancellationToken cancellation)
    {
        lock (_gate)
        {
            _wanted = true;
            if (_starting is { } starting && !(order.Epoch == _order?.Epoch && order.Replication?.Upstream == _order?.Replication?.Upstream))
            {
                starting.Cancel();
            }
        }

        return InTurnAsync(async token =>
        {
            using var current = CancellationTokenSource.CreateLinkedTokenSource(token);
            lock (_gate)
            {
                _starting = current;
            }

            try
            {
                var started = await MakeSoAsync(order, current.Token).ConfigureAwait(false);
                if (!started.Succeeded && _process.Id is null)
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

    public Task<ActionResult> StopAsync(CancellationToken cancellation)
    {
        GiveUpStarting();
        return InTurnAsync(async token =>
        {
            lock (_gate)
            {
                _wanted = false;
            }

            var stopped = await EndServerAsync(token).ConfigureAwait(false);
            if (stopped.Succeeded)
            {
                _report.Set(facts => facts with { Status = InstanceStatus.Stopped, Health = Core.Model.Health.Unknown, Epoch = null, ProcessId = null, Detail = "" });
            }

            return stopped;
        }, Timeout.InfiniteTimeSpan, cancellation);
    }

    /// <summary>It ends in order, so that its standbys get everything, and comes back as a standby of nobody.</summary>
    public Task<ActionResult> DemoteAsync(CancellationToken cancellation)
    {
        GiveUpStarting();
        return InTurnAsync(async token =>
        {
            if (_order is null)
            {
                return ActionResult.Failure("it was never started here");
            }

            return await MakeSoAsync(_order with { Epoch = null, Replication = (_order.Replication ?? new ReplicationOrder()) with { Upstream = null, Initialise = false } }, token).ConfigureAwait(false);
        }, Timeout.InfiniteTimeSpan, cancellation);
    }

    public Task<ActionResult> PromoteAsync(Epoch epoch, CancellationToken cancellation) => InTurnAsync(async token =>
    {
        if (_order is null || _place is null || _server is null || _process.Id is null)
        {
            return ActionResult.Failure("it does not run here");
        }

        var promoted = await new Promotion(_place, _server, _watch).PromoteAsync(epoch, _order.Replication ?? new ReplicationOrder(), token).ConfigureAwait(false);
        if (promoted.Succeeded)
        {
            _order = _order with { Epoch = epoch };
            _watch.Take(_place, _order);
            _ = SettleAsync(_place);
        }

        return promoted;
    }, _order is null ? Timeout.InfiniteTimeSpan : Spec.StartTimeout, cancellation);

    /// <summary>What a directory at rest says of its data: told before it runs, and after it has ended.</summary>
    public async Task TellDataAsync(CancellationToken cancellation)
    {
        if (_place is { } place && place.Data.HasData && (await place.Programs.ReadAsync(place.Data, cancellation).ConfigureAwait(false)).Data is { } control)
        {
            _report.Set(facts => _process.Id is not null ? facts : facts with
            {
                Position = control.Position,
                Replication = new ReplicationFacts { Data = control.System, Timeline = control.Timeline },
            });
        }
    }

    public async ValueTask DisposeAsync()
    {
        GiveUpStarting();
        await _closing.CancelAsync().ConfigureAwait(false);
        await _watch.DisposeAsync().ConfigureAwait(false);
        if (_server is { } server)
        {
            await server.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async Task<ActionResult> MakeSoAsync(InstanceOrder order, CancellationToken cancellation)
    {
        var (place, found) = await Place.OfAsync(order, _settings, cancellation).ConfigureAwait(false);
        if (place is null)
        {
            return found;
        }

        (_order, _place) = (order, place);
        if (_process.Id is not null)
        {
            if (_process.Request is { } request && (request with { Lease = null }).SameAs(place.Request))
            {
                if (await TakeRunningAsync(cancellation).ConfigureAwait(false) is { } taken)
                {
                    return taken;
                }
            }
            else if (await EndServerAsync(cancellation).ConfigureAwait(false) is { Succeeded: false } stays)
            {
                return stays;
            }
        }

        _note = "";
        _report.Set(facts => facts with { Status = InstanceStatus.Starting, Health = Core.Model.Health.Unknown, Epoch = null, Detail = "" });
        await TellDataAsync(cancellation).ConfigureAwait(false);
        var prepared = await new DataPreparation(place, order, Say).PrepareAsync(cancellation).ConfigureAwait(false);
        return prepared.Succeeded ? await LaunchAsync(cancellation).ConfigureAwait(false) : prepared;
    }

    /// <summary>What runs is brought to the order without a restart; null where only a restart does it, and it has been ended for that.</summary>
    private async Task<ActionResult?> TakeRunningAsync(CancellationToken cancellation)
    {
        var (order, place) = (_order!, _place!);
        WatchServer();
        if (await AnswerAsync(cancellation).ConfigureAwait(false) is not { } status)
        {
            return ActionResult.Failure("it runs, but does not answer");
        }

        if (order.Replication?.Data is { } wanted && Facts.Replication?.Data is { } found && found != wanted)
        {
            return ActionResult.Failure($"{place.Data.Path} holds other data (system identifier {found}; the cluster's is {wanted}): move it away, and it is copied anew");
        }

        if (order.Epoch is null && !status.Recovering)
        {
            return await EndServerAsync(cancellation).ConfigureAwait(false) is { Succeeded: false } stays ? stays : null;
        }

        if (order.Epoch is { } epoch)
        {
            if (place.Data.Epoch > epoch)
            {
                return ActionResult.Failure($"this data has seen epoch {place.Data.Epoch}, {epoch} is older");
            }

            if (!status.Recovering)
            {
                place.Data.Persist(epoch);
            }
        }
        else if (order.Replication?.Upstream is { } upstream)
        {
            place.Data.Persist(upstream.Epoch);
        }

        if (place.Configure(order))
        {
            await _server!.AskAsync("SELECT pg_reload_conf()", TimeSpan.FromSeconds(5), cancellation).ConfigureAwait(false);
            _streamed = DateTime.UtcNow;
        }

        _watch.Take(place, order);
        if (order.Epoch is not { } active || !status.Recovering)
        {
            return ActionResult.Success;
        }

        var promoted = await new Promotion(place, _server!, _watch).PromoteAsync(active, order.Replication ?? new ReplicationOrder(), cancellation).ConfigureAwait(false);
        _ = promoted.Succeeded ? SettleAsync(place) : Task.CompletedTask;
        return promoted;
    }

    private async Task<ActionResult> LaunchAsync(CancellationToken cancellation)
    {
        var (order, place) = (_order!, _place!);
        place.Configure(order);
        var asStandby = place.Data.IsStandby;
        lock (_gate)
        {
            _ending = false;
        }

        // What starts as the primary starts under its lease: a door that has closed meanwhile lets nobody in.
        var request = order.Epoch is { } right && !asStandby
            ? place.Request with { Lease = new HeldLease(ResourceId.Service(place.Service), right) } : place.Request;

        // The guard keeps the name until the last process of the one before has gone.
        var until = DateTime.UtcNow + LaunchRetries;
        string? problem;
        while ((problem = await _process.LaunchAsync(request, order.Spec.Driver.StartTimeout, cancellation).ConfigureAwait(false)) is not null && DateTime.UtcNow < until)
        {
            await Task.Delay(50, cancellation).ConfigureAwait(false);
        }

        if (problem is not null)
        {
            return ActionResult.Failure(problem);
        }

        _startedAt = _streamed = DateTime.UtcNow;
        _report.Set(facts => facts with { Status = InstanceStatus.Starting, ProcessId = _process.Id, Detail = _note });
        WatchServer();
        if (order.Epoch is null)
        {
            return ActionResult.Success; // How it gets on, the watch says.
        }

        if (await AnswerAsync(cancellation).ConfigureAwait(false) is null)
        {
            return ActionResult.Failure(_process.Id is null ? Facts.Detail : "it does not answer");
        }

        if (asStandby)
        {
            var promoted = await new Promotion(place, _server!, _watch).PromoteAsync(order.Epoch.Value, order.Replication ?? new ReplicationOrder(), cancellation).ConfigureAwait(false);
            if (!promoted.Succeeded)
            {
                return promoted;
            }

            _ = SettleAsync(place);
        }

        await ReplicationRole.EnsureAsync(_server!, cancellation).ConfigureAwait(false);
        return ActionResult.Success;
    }

    private void WatchServer()
    {
        if (_server is null || _watch.Watching != _process.Id)
        {
            _ = _server?.DisposeAsync().AsTask();
            _server = new LocalConnection(_place!.Data.Run, _place.Port);
            _report.Set(facts => facts with { ProcessId = _process.Id });
            _watch.Begin(new Watched(_place, _order!, _server, _process.Id ?? 0) { Pending = _note });
        }
    }

    /// <summary>The first answer; null when it ended instead. Within the time of the action around it.</summary>
    private async Task<ServerStatus?> AnswerAsync(CancellationToken cancellation)
    {
        while (_process.Id is not null)
        {
            if (await _watch.ObserveAsync(cancellation).ConfigureAwait(false) is { } status)
            {
                return status;
            }

            await Task.Delay(AnswerStep, cancellation).ConfigureAwait(false);
        }

        return null;
    }

    private async Task<ActionResult> EndServerAsync(CancellationToken cancellation)
    {
        lock (_gate)
        {
            _ending = true;
        }

        if (_process.Id is null)
        {
            return ActionResult.Success;
        }

        _report.Set(facts => facts with { Status = InstanceStatus.Stopping });
        var ended = await _control.EndAsync(_order?.Spec.Driver.StopTimeout ?? TimeSpan.FromSeconds(60), cancellation).ConfigureAwait(false);
        _watch.End();
        return ended;
    }

    private void OnEnded(string reason)
    {
        _watch.End();
        bool again;
        lock (_gate)
        {
            // Never a primary by itself: the guard ends it when its lease is over, and only an order knows of another.
            again = _wanted && !_ending && _order is { Epoch: null };
            var failed = _wanted && !_ending;
            _report.Set(facts => facts with
            {
                Status = failed ? InstanceStatus.Failed : InstanceStatus.Stopped,
                Health = failed ? Core.Model.Health.Unhealthy : Core.Model.Health.Unknown,
                Epoch = null,
                ProcessId = null,
                Detail = failed ? $"{reason}{ServerLog.LastComplaint(_place?.LogFile)}" : "",
                Restarts = facts.Restarts + (failed ? 1 : 0),
                Replication = facts.Replication is { } before ? new ReplicationFacts { Data = before.Data, Timeline = before.Timeline } : null,
            });
        }

        _ = AfterEndAsync(again ? _backoff.Next(DateTime.UtcNow - _startedAt) : null);
    }

    private async Task AfterEndAsync(TimeSpan? restartAfter)
    {
        try
        {
            await TellDataAsync(_closing.Token).ConfigureAwait(false);
            if (restartAfter is { } pause)
            {
                await Task.Delay(pause, _closing.Token).ConfigureAwait(false);
                if (_wanted && _order is { Epoch: null } order && _process.Id is null)
                {
                    await StartAsync(order, _closing.Token).ConfigureAwait(false);
                }
            }
        }
        catch (Exception failure) when (failure is OperationCanceledException or ObjectDisposedException or IOException or UnauthorizedAccessException)
        {
            // The agent stops.
        }
    }

    /// <summary>
    /// What a new primary must do soon, on a connection of its own: the role for the others, and a checkpoint, before which
    /// pg_rewind of the others reads the old timeline here (before 16).
    /// </summary>
    private async Task SettleAsync(Place place)
    {
        await using var server = new LocalConnection(place.Data.Run, place.Port);
        try
        {
            await ReplicationRole.EnsureAsync(server, _closing.Token).ConfigureAwait(false);
            await server.AskAsync("CHECKPOINT", CheckpointLimit, _closing.Token).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is NpgsqlException or TimeoutException or OperationCanceledException)
        {
            // It has ended already, or is ill: both show in its facts.
        }
    }

    /// <summary>A standby that receives nothing though its upstream answers: diverged, or the upstream lacks what it needs.</summary>
    private async Task FollowAsync(ServerStatus status)
    {
        if (status.Receiving)
        {
            _streamed = DateTime.UtcNow;
        }

        var (order, place) = (_order, _place);
        if (order is not { Epoch: null, Replication.Upstream: { } upstream } || place is null || DateTime.UtcNow - _streamed < TimeSpan.FromSeconds(1))
        {
            return;
        }

        var preparation = new DataPreparation(place, order, Say);
        if (await preparation.AskAsync(upstream, _closing.Token).ConfigureAwait(false) is not { Settled: true } facts
            || (await place.Programs.ReadAsync(place.Data, _closing.Token).ConfigureAwait(false)).Data is not { } control || facts.System != control.System)
        {
            return;
        }

        var diverged = !facts.History.HasAll(status.Timeline, status.Position);
        var gone = facts.Oldest > WalPosition.Segment(status.Position, control.SegmentBytes);
        if (diverged || gone)
        {
            await InTurnAsync(async token =>
            {
                if (_order != order || !_wanted || _process.Id is null)
                {
                    return ActionResult.Success; // Decided anew meanwhile.
                }

                if (await EndServerAsync(token).ConfigureAwait(false) is { Succeeded: false } stays)
                {
                    return stays;
                }

                var mended = diverged ? await preparation.RejoinAsync(upstream, token).ConfigureAwait(false)
                    : await preparation.CloneAsync(upstream, "it no longer has the log that is needed here", token).ConfigureAwait(false);
                if (mended.Succeeded)
                {
                    return await LaunchAsync(token).ConfigureAwait(false);
                }

                _report.Set(now => now with { Status = InstanceStatus.Failed, Health = Core.Model.Health.Unhealthy, Detail = mended.Reason! });
                _ = AfterEndAsync(_backoff.Next(TimeSpan.Zero));
                return mended;
            }, order.Spec.Driver.StartTimeout, _closing.Token).ConfigureAwait(false);
        }
    }

    private void Say(string note)
    {
        _note = note;
        _report.Set(facts => facts with { Detail = note });
    }

    private void GiveUpStarting()
    {
        lock (_gate)
        {
            _starting?.Cancel();
        }
    }

    private async Task<ActionResult> InTurnAsync(Func<CancellationToken, Task<ActionResult>> act, TimeSpan limit, CancellationToken cancellation)
    {
        await _turn.WaitAsync(cancellation).ConfigureAwait(false);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation, _closing.Token);
        deadline.CancelAfter(limit);
        try
        {
            return await act(deadline.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return ActionResult.Failure(deadline.IsCancellationRequested ? $"it took longer than {limit.TotalSeconds:0} s" : "another order came first");
        }
        catch (Exception failure) when (failure is NpgsqlException or TimeoutException or IOException or UnauthorizedAccessException)
        {
            return ActionResult.Failure(failure.Message);
        }
        finally
        {
            _turn.Release();
        }
    }
}
