using System.Diagnostics;
using Etcdserverpb;
using Grpc.Core;

namespace Evenkeel.PrivateConnection.Store.Etcd;

/// <param name="Response">The answer, or null.</param>
/// <param name="Doubtful">Without an answer: an attempt may have been, or may still be, applied.</param>
/// <param name="Full">The last attempt was answered with 'out of space', which leaves open whether it was applied.</param>
internal sealed record EtcdAnswer(TxnResponse? Response, bool Doubtful, string? Reason, bool Full = false);

/// <summary>
/// Sends one transaction to whichever member answers. A member that does not answer in time (dead, frozen, without a leader)
/// is passed over: first after 200 ms, then 400, …, all within the call's deadline. Repeating is safe because a commit
/// carries its request id and a reading changes nothing.
/// </summary>
internal sealed class EtcdCalls(IReadOnlyList<EtcdMemberLink> members)
{
    /// <summary>Every call's own deadline, all attempts together.</summary>
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan FirstAttempt = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan PauseAfterRound = TimeSpan.FromMilliseconds(20);

    /// <summary>A member that failed is asked last for so long. The first is on this machine: whoever stayed with another's for
    /// good would lose its sight of the store together with that other machine.</summary>
    private static readonly TimeSpan Avoided = TimeSpan.FromSeconds(3);

    /// <summary>A learner, as long: it answers nothing before it votes, which may be never.</summary>
    private static readonly TimeSpan AvoidedAsLearner = TimeSpan.FromSeconds(30);

    private readonly long[] _avoidedUntil = new long[members.Count];

    /// <summary>The first that did not fail lately; when all did, the one that is to be avoided for the shortest time.</summary>
    public EtcdMemberLink Preferred
    {
        get
        {
            var now = Stopwatch.GetTimestamp();
            var best = 0;
            for (var i = 0; i < members.Count; i++)
            {
                var until = Volatile.Read(ref _avoidedUntil[i]);
                if (until <= now)
                {
                    return members[i];
                }

                if (until < Volatile.Read(ref _avoidedUntil[best]))
                {
                    best = i;
                }
            }

            return members[best];
        }
    }

    /// <param name="failure">What the member answered, if anything.</param>
    public void Avoid(EtcdMemberLink member, RpcException? failure = null)
    {
        var time = failure is not null && EtcdFailures.IsFromLearner(failure) ? AvoidedAsLearner : Avoided;
        for (var i = 0; i < members.Count; i++)
        {
            if (members[i] == member)
            {
                Volatile.Write(ref _avoidedUntil[i], Stopwatch.GetTimestamp() + (long)(time.TotalSeconds * Stopwatch.Frequency));
            }
        }
    }

    public async Task<EtcdAnswer> SendAsync(TxnRequest request, CancellationToken cancellation)
    {
        var begun = Stopwatch.GetTimestamp();
        var attempt = FirstAttempt;
        var doubtful = false;
        var reason = "no time was left to ask";
        for (var tried = 1; ; tried++)
        {
            var left = Deadline - Stopwatch.GetElapsedTime(begun);
            if (left <= TimeSpan.Zero || cancellation.IsCancellationRequested)
            {
                return new EtcdAnswer(null, doubtful, reason);
            }

            var member = Preferred;
            try
            {
                var response = await member.Values.TxnAsync(request, Options(attempt < left ? attempt : left, cancellation)).ConfigureAwait(false);
                return new EtcdAnswer(response, false, null);
            }
            catch (RpcException exception)
            {
                reason = $"etcd at {member.Endpoint.Address}: {EtcdFailures.Describe(exception)}";
                switch (EtcdFailures.Classify(exception))
                {
                    case EtcdFailure.Refused:
                        return new EtcdAnswer(null, doubtful, reason);
                    case EtcdFailure.Full:
                        return new EtcdAnswer(null, doubtful, reason, Full: true);
                    case EtcdFailure.Unknown:
                        doubtful = true;
                        break;
                }

                Avoid(member, exception);
            }

            attempt = attempt * 2 < Deadline ? attempt * 2 : Deadline;
            if (tried % members.Count == 0)
            {
                await Task.Delay(PauseAfterRound, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    /// <summary>A leaderless member answers 'no leader' at once instead of waiting for one.</summary>
    public static CallOptions Options(TimeSpan limit, CancellationToken cancellation) =>
        new(NeedsLeader(), DateTime.UtcNow + limit, cancellation);

    public static Metadata NeedsLeader() => new() { { "hasleader", "true" } };
}
