using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Npgsql;

namespace Evenkeel.Services.PostgreSql;

/// <summary>What the watch is over: changes with each start.</summary>
internal sealed record Watched(Place Place, InstanceOrder Order, LocalConnection Server, int ProcessId)
{
    /// <summary>While it runs its configuration was changed so far that only a restart would bring it into effect.</summary>
    public string Pending { get; set; } = "";
    /// <summary>Settings that somebody else had changed and we have changed back, said for a while.</summary>
    public (string Said, TimeSpan Until) TakenBack { get; set; } = ("", TimeSpan.Zero);
    /// <summary>Why it cannot write though it answers; null while it can.</summary>
    public string? Full { get; set; }
    public string System { get; set; } = "";
    public int Generation { get; set; } = -1;
    /// <summary>Which certificates it has been told to read; null while it is not known.</summary>
    public string? Certificates { get; set; }
    /// <summary>Whom it has been told to let in; null while it is not known.</summary>
    public string? Admitted { get; set; }
    /// <summary>Ends it at once, with all its processes.</summary>
    public Action Kill { get; init; } = static () => { };
    /// <summary>When it was told to follow nobody; only while it is so told.</summary>
    public TimeSpan LeftAt { get; init; }
}

/// <summary>Asks the running server ten times a second how it is, keeps its slots, and says what it learnt.</summary>
internal sealed class ServerWatch : IAsyncDisposable
{
    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Calm = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Busy = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan Starting = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan Slowest = TimeSpan.FromMilliseconds(500);
    private const int SlowEvery = 1000;
    private const int SoonEvery = 200;
    private static readonly TimeSpan TakenBackSaid = TimeSpan.FromMinutes(1);
    /// <summary>A receiver that breaks just as its server is told to follow nobody may be started once more, before the start-up process has read that.</summary>
    private static readonly TimeSpan Leaving = TimeSpan.FromMilliseconds(300);
    /// <summary>
    /// A primary that somebody has stopped serves nobody, and unlike a slow one it is surely so: after so long it is ended, as a crash,
    /// and another takes over.
    /// </summary>
    private static readonly TimeSpan MostStopped = TimeSpan.FromSeconds(1);

    private readonly InstanceReport _report;
    private readonly Func<ServerStatus?, Task> _following;
    private readonly CancellationTokenSource _stop = new();
    private SynchronousWatch _synchronous = new();
    private readonly SemaphoreSlim _one = new(1);
    private readonly Task _loop;
    private Watched? _watched;
    private Task _slow = Task.CompletedTask;
    private long _slowAt;
    private bool _warned;
    private (int Process, TimeSpan Since)? _stopped;

    /// <param name="following">
    /// Called about once a second with a standby's status, null while it has not come to answer: whether it can follow at all is judged there.
    /// </param>
    public ServerWatch(InstanceReport report, Func<ServerStatus?, Task> following)
    {
        _report = report;
        _following = following;
        _loop = Task.Run(RunAsync);
    }

    /// <summary>The process that is watched now.</summary>
    public int? Watching => _watched?.ProcessId;

    public void Begin(Watched watched)
    {
        _slowAt = 0;
        _synchronous = new SynchronousWatch();
        _watched = watched with { LeftAt = Now };
    }

    public void End() => _watched = null;

    /// <summary>The order changed, the server is the same.</summary>
    public void Take(Place place, InstanceOrder order)
    {
        if (_watched is { } watched)
        {
            var leaves = order.Replication?.Upstream is null && watched.Order.Replication?.Upstream is not null;
            // Whom it lets in is looked at again: what the order before it said may have been written after what this one says.
            _watched = watched with { Place = place, Order = order, LeftAt = leaves ? Now : watched.LeftAt, Admitted = null };
        }

        // Before the order counts as done: what was proven under another setting must not be told after it.
        var proven = _synchronous.Expect(SynchronousNames.Of(order.Replication?.Required ?? [], order.Replication?.Any));
        _report.Set(facts => facts.Replication is { } known
            ? facts with { Replication = known with { Synchronous = [.. known.Synchronous.Where(proven.Contains)] } } : facts);
    }

    /// <summary>Asks now; null when there is no answer, which the facts then say.</summary>
    public async Task<ServerStatus?> ObserveAsync(CancellationToken cancellation)
    {
        await _one.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            return _watched is { } watched ? await ObserveAsync(watched, cancellation).ConfigureAwait(false) : null;
        }
        finally
        {
            _one.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _loop.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _slow.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
        _one.Dispose();
    }

    private static TimeSpan Now => TimeSpan.FromMilliseconds(Environment.TickCount64);

    private async Task RunAsync()
    {
        var (position, silent) = (0L, 0);
        while (!_stop.IsCancellationRequested)
        {
            var status = await ObserveAsync(_stop.Token).ConfigureAwait(false);
            if (_watched is { } watched && _slow.IsCompleted && Environment.TickCount64 - _slowAt >= (Differs(watched, status) ? SoonEvery : SlowEvery)
                && (status is not null || _report.Facts.Status == InstanceStatus.Starting))
            {
                _slowAt = Environment.TickCount64;
                _slow = SlowAsync(watched, status);
            }

            // A long recovery is asked less and less often: each refusal is a line in the server's log.
            silent = status is null && _watched is not null ? silent + 1 : 0;
            var pause = silent > 0 ? TimeSpan.FromMilliseconds(Math.Min(Starting.TotalMilliseconds * silent, Slowest.TotalMilliseconds))
                : status is not null && status.Position != position ? Busy : Calm;
            position = status?.Position ?? position;
            await Task.Delay(pause, _stop.Token).ConfigureAwait(false);
        }
    }

    // On its way, or somebody else's.
    private static bool Differs(Watched watched, ServerStatus? status) => status is { Recovering: false }
        && watched.Order.Replication is { } order && status.Names != SynchronousNames.Text(order.Required, order.Any, order.Strict);

    private async Task<ServerStatus?> ObserveAsync(Watched watched, CancellationToken cancellation)
    {
        try
        {
            if (StoppedProcess.Is(watched.ProcessId))
            {
                EndIfStopped(watched);
                throw new TimeoutException("its main process is stopped (SIGSTOP)");
            }

            _stopped = null;
            var status = ServerStatus.Of((await watched.Server.AskAsync(ServerStatus.Question, AnswerLimit, cancellation).ConfigureAwait(false))[0]);
            if (watched.Generation != watched.Server.Generation)
            {
                watched.System = (string)(await watched.Server.AskAsync("SELECT system_identifier::text FROM pg_control_system()", AnswerLimit, cancellation).ConfigureAwait(false))[0][0]!;
                watched.Generation = watched.Server.Generation;
            }

            if (ReferenceEquals(watched.Server, _watched?.Server))
            {
                Tell(watched, status);
            }

            return status;
        }
        catch (Exception failure) when (failure is NpgsqlException or TimeoutException)
        {
            if (!ReferenceEquals(watched.Server, _watched?.Server))
            {
                return null;
            }

            // Before its first answer it is starting; afterwards silence is an illness. One broken connection alone is not:
            // the next question, 20 ms later, opens another.
            var ill = failure is TimeoutException || _warned;
            _warned = true;
            _report.Set(facts => facts.ProcessId == watched.ProcessId && facts.Status == InstanceStatus.Running && ill
                ? facts with { Health = Core.Model.Health.Unhealthy, Detail = failure.Message } : facts);
            return null;
        }
    }

    private void EndIfStopped(Watched watched)
    {
        if (watched.Order.Epoch is null || !StoppedProcess.IsBySignal(watched.ProcessId))
        {
            _stopped = null;
        }
        else if (_stopped is not { } stopped || stopped.Process != watched.ProcessId)
        {
            _stopped = (watched.ProcessId, Now);
        }
        else if (Now - stopped.Since > MostStopped)
        {
            watched.Kill();
        }
    }

    private void Tell(Watched watched, ServerStatus status)
    {
        _warned = false;
        var (wait, synchronous) = _synchronous.Observe(Now, status);
        var epoch = status.Recovering ? (Epoch?)null : watched.Place.Data.Epoch;
        var replication = new ReplicationFacts
        {
            Data = watched.System,
            Timeline = status.Timeline,
            Upstream = status.Recovering ? watched.Order.Replication?.Upstream?.Node : null,
            Streaming = status.Recovering && (status.Receiving
                || (watched.Order.Replication?.Upstream is null && (status.Attached || Now - watched.LeftAt < Leaving))),
            Required = wait.Nodes,
            Any = wait.Any,
            Synchronous = synchronous,
            Transactions = status.Recovering ? 0 : status.Transactions,
            Followers = [.. status.Followers.Where(follower => follower.Streaming).Select(follower => follower.Node).Distinct().Order()],
        };
        _report.Set(facts => facts.ProcessId != watched.ProcessId || facts.Status is InstanceStatus.Stopping or InstanceStatus.Stuck ? facts : facts with
        {
            Status = InstanceStatus.Running,
            Health = watched.Full is null ? Core.Model.Health.Healthy : Core.Model.Health.Unhealthy,
            Epoch = epoch,
            Position = status.Position,
            Replication = facts.Replication == replication ? facts.Replication : replication,
            Version = watched.Order.Version,
            Detail = watched.Full ?? string.Join("; ", new[] { watched.Pending, watched.TakenBack.Until > Now ? watched.TakenBack.Said : "" }.Where(said => said.Length > 0)),
        });
    }

    /// <summary>What ALTER SYSTEM changed though it is not the user's to change is reset. What was acknowledged meanwhile is not surely anywhere else.</summary>
    private async Task TakeBackAsync(Watched watched)
    {
        var refused = AlteredSettings.Refused(watched.Place.Data.Altered);
        if (refused.Count == 0)
        {
            return;
        }

        void Distrust()
        {
            if (refused.Any(AlteredSettings.DecidesDurability) && ReferenceEquals(watched.Server, _watched?.Server))
            {
                _synchronous.Distrust(Now);
            }
        }

        Distrust();
        var said = $"{string.Join(", ", refused)} was changed by ALTER SYSTEM and is reset: the cluster decides it (see cluster.yaml)";
        if (watched.TakenBack.Said != said || watched.TakenBack.Until < Now)
        {
            watched.Place.Log(said);
        }

        watched.TakenBack = (said, Now + TakenBackSaid);
        foreach (var name in refused)
        {
            try
            {
                await watched.Server.AskAsync($"ALTER SYSTEM RESET {name}", AnswerLimit, _stop.Token).ConfigureAwait(false);
            }
            catch (PostgresException)
            {
                // A name that this version does not know does nothing either; the next start takes it out.
            }
        }

        await watched.Server.AskAsync("SELECT pg_reload_conf()", AnswerLimit, _stop.Token).ConfigureAwait(false);
        Distrust(); // From the reload on, not from before.
    }

    /// <summary>What need not be known ten times a second, and may wait for another node.</summary>
    private async Task SlowAsync(Watched watched, ServerStatus? status)
    {
        try
        {
            watched.Full = Room.Problem(watched.Place.Data.Path);
            if (status is null or { Recovering: true })
            {
                await _following(status).ConfigureAwait(false);
            }

            if (status is null)
            {
                return;
            }

            await AdmitAsync(watched).ConfigureAwait(false);
            await TakeBackAsync(watched).ConfigureAwait(false);
            await RenewCertificatesAsync(watched).ConfigureAwait(false);
            var replication = watched.Order.Replication ?? new ReplicationOrder();
            IReadOnlyDictionary<string, long>? slots = null;
            if (status is { Recovering: true, Receiving: true } && replication.Upstream is { } upstream)
            {
                slots = (await new DataPreparation(watched.Place, watched.Order, _ => { }).AskAsync(upstream, _stop.Token).ConfigureAwait(false))?.Slots;
            }

            await SlotKeeper.KeepAsync(watched.Server, replication.Others, status, replication.Upstream?.Node, slots, _stop.Token).ConfigureAwait(false);
            var pending = (await watched.Server.AskAsync("SELECT string_agg(name, ', ' ORDER BY name) FROM pg_settings WHERE pending_restart", AnswerLimit, _stop.Token).ConfigureAwait(false))[0][0] as string;
            watched.Pending = pending is null ? "" : $"{InstanceFacts.RestartPending} for {pending}";
        }
        catch (Exception failure) when (failure is NpgsqlException or TimeoutException or OperationCanceledException or IOException or UnauthorizedAccessException)
        {
            // The next second tries again; a server that answers nothing shows in its health.
        }
    }

    /// <summary>A node was taken out, or came: it is let in or not from now on, and what stands of one that is out ends.</summary>
    private async Task AdmitAsync(Watched watched)
    {
        var mark = watched.Place.AdmissionMark(watched.Order);
        if (mark is not null && mark != watched.Admitted)
        {
            watched.Place.Admit(watched.Order);
            await watched.Server.AskAsync("SELECT pg_reload_conf()", AnswerLimit, _stop.Token).ConfigureAwait(false);
            await watched.Server.AskAsync(HostAccess.EndOthers(watched.Place.Settings.PrivateAddresses()), AnswerLimit, _stop.Token).ConfigureAwait(false);
            watched.Admitted = mark;
        }
    }

    /// <summary>The node's certificate was renewed: the server gets copies, and reads them anew. Connections that stand are not touched, new ones use them.</summary>
    private async Task RenewCertificatesAsync(Watched watched)
    {
        var mark = watched.Place.CertificatesMark();
        if (mark is not null && mark != watched.Certificates)
        {
            await watched.Server.AskAsync("SELECT pg_reload_conf()", AnswerLimit, _stop.Token).ConfigureAwait(false);
            watched.Certificates = mark;
        }
    }
}
