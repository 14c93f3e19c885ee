using Evenkeel.Core.Model;

namespace Evenkeel.Core.PrivateConnection.Leases;

/// <summary>
/// A guard's whole behaviour, without clock, socket or process: it votes for others' leases, keeps its own node's, and says
/// when a door opens and closes. The agent asks; nothing that the agent fails to do keeps a door open past its lease.
/// Deterministic: the same events at the same instants give the same effects. One thread.
/// </summary>
public sealed partial class GuardCore
{
    private readonly GuardSession _session;
    private readonly int _processId;
    private readonly IReadOnlyList<string> _missing;
    private readonly LeaseRules _rules;
    private readonly Voter _voter;
    private readonly ClockWatch _clocks = new();
    private readonly List<LeaseTerm> _terms = [];
    private readonly InstanceTable _instances = new();
    private readonly Dictionary<ResourceId, Epoch> _ended = [];
    private readonly List<(HeldLease Lease, Instant Until)> _releases = [];

    private List<GuardEffect> _effects = [];
    private Configure? _configuration;
    private Quorum _quorum = new([]);
    private Instant _nextBeat;
    private bool _askNow;
    private Instant? _exitAt;

    /// <param name="session">Minted at random when the guard starts, never used before.</param>
    /// <param name="processId">For the agent's information.</param>
    /// <param name="missing">Protections that this machine does not permit, in words.</param>
    /// <param name="startedAt">Taken when the process starts, before any vote.</param>
    public GuardCore(GuardSession session, int processId, IReadOnlyList<string> missing, Instant startedAt)
        : this(session, processId, missing, startedAt, LeaseRules.All) { }

    internal GuardCore(GuardSession session, int processId, IReadOnlyList<string> missing, Instant startedAt, LeaseRules rules)
    {
        (_session, _processId, _missing, _rules) = (session, processId, missing, rules);
        _voter = new Voter(startedAt, rules);
        _nextBeat = _agentBeat = startedAt;
    }

    public GuardSession Session => _session;

    /// <summary>Whether this guard answers with its vote (safety rule 5).</summary>
    public bool IsVotingAt(Instant now) =>
        _configuration is { } configuration && _quorum.Voters.Contains(configuration.Self) && _voter.MayVote(configuration.Timings, now);

    /// <summary>
    /// Leases whose doors may be open at <paramref name="now"/>: what outsiders' checks compare between nodes. One whose
    /// deadline is over is none, even if this guard was paused and has not got round to closing: the kernel has.
    /// </summary>
    public IEnumerable<HeldLease> HeldAt(Instant now) =>
        _terms.Where(term => term.MayBeOpen && (term.Holder.Deadline ?? term.LastDeadline) is { } end && !now.IsPastDeadline(end)).Select(term => term.Name);

    /// <summary>Takes in one event at <paramref name="now"/> (read after the event happened) and returns what to do, in order.</summary>
    public IReadOnlyList<GuardEffect> Step(GuardEvent happened, Instant now)
    {
        if (_clocks.JumpedAt(now, Timings.DriftBound) && _rules.JumpEndsLease)
            EndTerms(static _ => true, "the clocks jumped (suspend?)", now);
        CloseOverdue(now);
        Take(happened, now);
        WatchAgent(now);
        Progress(now);
        if (_effects.Count == 0) return [];
        var effects = _effects;
        _effects = [];
        return effects;
    }

    private Timings Timings => _configuration?.Timings ?? Timings.Default;

    private void Take(GuardEvent happened, Instant now)
    {
        switch (happened)
        {
            case Tick: break;
            case DatagramReceived(var from, AskDatagram ask): TakeAsks(from, ask, now); break;
            case DatagramReceived(var from, AnswerDatagram answer): TakeAnswers(from, answer, now); break;
            case DoorResult result: TakeDoorResult(result, now); break;
            case FromAgent(var message): TakeAgentMessage(message, now); break;
            case AgentConnected(var processId): BecomeConnected(processId, now); break;
            case AgentDisconnected: BecomeDisconnected(now); break;
            case AgentExited(var processId): TakeAgentExit(processId); break;
            case LaunchResult result: TakeLaunchResult(result); break;
            case InstanceExited exited:
                var told = new Exited(exited.Instance, exited.ProcessId, exited.ExitCode, exited.Left);
                _instances.Exited(told);
                Tell(told);
                break;
            default: throw new ArgumentOutOfRangeException(nameof(happened), happened.GetType().Name, "An event that guards do not know.");
        }
    }

    // Each round may let a lease make one more step (promised → owner → granted, where this guard's own vote decides).
    private void Progress(Instant now)
    {
        for (var round = 0; round < 4; round++)
        {
            for (var i = _terms.Count - 1; i >= 0; i--) Progress(_terms[i], now);
            if (!_askNow && !now.HasWaitedUntil(_nextBeat)) break;
            if (now.HasWaitedUntil(_nextBeat)) _nextBeat = now + Timings.Beat;
            _askNow = false;
            Ask(now);
        }
        if (_exitAt is { } exit && _terms.Count == 0 && _instances.AllEnded && now.HasWaitedUntil(exit)) _effects.Add(new ExitGuard());
    }

    private void Tell(GuardMessage message) => _effects.Add(new ToAgent(message));

    /// <summary>When to call <see cref="Step"/> with a <see cref="Tick"/> at the latest, if nothing else happens.</summary>
    public Instant NextWake(Instant now)
    {
        var wake = now + TimeSpan.FromSeconds(1);
        if (_terms.Count > 0 || _releases.Count > 0 || _instances.Count > 0 || _exitAt is not null) wake = Earlier(wake, _nextBeat);
        foreach (var term in _terms)
        {
            if (!term.IsEnding && term.CloseBy(Timings) is { } close) wake = Earlier(wake, close);
            if (term.KillAt is { } kill) wake = Earlier(wake, Later(kill, term.InsistAt));
            if (term.Holder.Now == LeaseHolder.Stage.Promise && term.Holder.WaitEnds is { } wait) wake = Earlier(wake, wait);
        }
        return wake;
    }

    private static Instant Earlier(Instant a, Instant b) =>
        new(Math.Min(a.BootNanoseconds, b.BootNanoseconds), Math.Min(a.RawNanoseconds, b.RawNanoseconds));
    private static Instant Later(Instant a, Instant b) =>
        new(Math.Max(a.BootNanoseconds, b.BootNanoseconds), Math.Max(a.RawNanoseconds, b.RawNanoseconds));
}
