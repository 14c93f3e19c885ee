using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Agent.Host.Tracing;

/// <summary>
/// Makes each change of an owner one trace: the controller writes the root and how it came to the decision, the new owner how it
/// took over. Called on the loop's and the guard link's threads with what happens anyway; writes spans that are over.
/// </summary>
/// <param name="cluster">Its name.</param>
/// <param name="self">This node.</param>
/// <param name="session">A node's guard session, as far as it is known here.</param>
/// <param name="outcome">Watches what this node cannot know at once.</param>
internal sealed class FailoverTracer(string cluster, NodeName self, Func<NodeName, GuardSession> session, TakeoverWatch outcome)
{
    /// <summary>A cause that is older has led to nothing.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(5);
    private const int Most = 4_096;

    private readonly record struct Cause(Instant Began, Instant Known, string Words, NodeName? From);

    private readonly Lock _gate = new();
    private readonly Dictionary<ResourceId, Cause> _detected = [];
    private readonly Dictionary<(ResourceId, Epoch), Instant> _decided = [];
    private readonly Dictionary<(ResourceId, Epoch), (SpanWriter Spans, Instant Held)> _starting = [];
    private (Instant Lost, Instant Claimed)? _claim;
    private Instant? _lost;

    public void Happened(Announcement said)
    {
        lock (_gate)
        {
            switch (said)
            {
                case { Kind: AnnouncementKind.PeerLost }: _lost = said.At; break;
                case { Kind: AnnouncementKind.ControllerClaimed } when _lost is { } lost: _claim = (lost, said.At); break;
                case { Kind: AnnouncementKind.Detected, Resource: { } resource }: Detected(resource, said); break;
                case { Kind: AnnouncementKind.Recovered, Resource: { } resource }: _detected.Remove(resource); break;
                case { Kind: AnnouncementKind.ControllerDeposed }: _detected.Clear(); break;
                case { Kind: AnnouncementKind.Decided, Resource: { } resource, Epoch: { } epoch }: Remember(_decided, (resource, epoch), said.At); break;
                case { Kind: AnnouncementKind.Committed, Resource: { } resource, Epoch: { } epoch, Node: { } owner }: Committed(resource, epoch, owner, said); break;
                case { Kind: AnnouncementKind.Serving, Resource: { } resource, Epoch: { } epoch }: Serving(resource, epoch, said.At); break;
            }
        }
    }

    /// <summary>The guard holds a lease for the first time: it tells how it came to it.</summary>
    public void Held(LeaseChanged lease)
    {
        if (lease is not { Phase: LeasePhase.Held, Steps: { } steps })
        {
            return;
        }

        var spans = Of(lease.Resource, lease.Epoch, self);
        var taken = SpanWriter.Write(spans.Root, "take over", Wall(steps.Asked), Wall(steps.Opened), Tags(lease.Resource, lease.Epoch));
        SpanWriter.Write(taken, "promise", Wall(steps.Asked), Wall(steps.Promised), Why("a majority of the voters promised to grant no lower epoch"));
        SpanWriter.Write(taken, "wait", Wall(steps.Promised), Wall(steps.Waited), Why("until the former owner's grants had run out or were given back"));
        SpanWriter.Write(taken, "grant", Wall(steps.Waited), Wall(steps.Granted), Why("a majority of the voters granted it"));
        SpanWriter.Write(taken, "open", Wall(steps.Granted), Wall(steps.Opened), Why(lease.Resource.Kind == "vip" ? "the address was added and announced" : "the control group was opened"));
        if (lease.Resource.Kind == "vip")
        {
            outcome.FirstRequest(lease.Resource, Wall(steps.Opened), spans);
            return;
        }

        lock (_gate)
        {
            Remember(_starting, (lease.Resource, lease.Epoch), (spans, steps.Opened));
        }
    }

    private void Detected(ResourceId resource, Announcement said) =>
        Remember(_detected, resource, new Cause(said.At + -(said.Ago ?? TimeSpan.Zero), said.At, said.Words, said.Node));

    private void Committed(ResourceId resource, Epoch epoch, NodeName owner, Announcement said)
    {
        var decided = _decided.Remove((resource, epoch), out var at) ? at : said.At;
        var spans = Of(resource, epoch, owner);
        var cause = _detected.Remove(resource, out var found) && said.At.Since(found.Began) < Longest ? found : (Cause?)null;
        var began = cause?.Began ?? decided;
        if (cause is { } known)
        {
            SpanWriter.Write(spans.Root, "detect", Wall(known.Began), Wall(known.Known), Why(known.Words));
            if (_claim is { } claim && claim.Claimed.BootNanoseconds >= known.Began.BootNanoseconds)
            {
                SpanWriter.Write(spans.Root, "claim", Wall(claim.Lost), Wall(claim.Claimed), Why($"{self} became the controller"));
            }

            SpanWriter.Write(spans.Root, "decide", Wall(known.Known), Wall(decided), Why($"{owner} shall have it"));
        }

        SpanWriter.Write(spans.Root, "commit", Wall(decided), Wall(said.At), Why("the coordination store made it durable"));
        outcome.Taken(resource, epoch, owner, (end, problem) => spans.WriteRoot($"{(cause is null ? "change of owner" : "failover")} of {resource}", Wall(began), end, problem,
            [.. Tags(resource, epoch), new("evenkeel.from", cause?.From?.Value), new("evenkeel.to", owner.Value), new("evenkeel.cause", cause?.Words ?? "planned")]));
    }

    private void Serving(ResourceId resource, Epoch epoch, Instant at)
    {
        if (_starting.Remove((resource, epoch), out var began))
        {
            SpanWriter.Write(began.Spans.Root, "start", Wall(began.Held), Wall(at), Tags(resource, epoch));
        }
    }

    private SpanWriter Of(ResourceId resource, Epoch epoch, NodeName owner) => new($"{cluster}\n{resource}\n{epoch}\n{owner}\n{session(owner)}");

    private IEnumerable<KeyValuePair<string, object?>> Tags(ResourceId resource, Epoch epoch) =>
        [new("evenkeel.resource", resource.Value), new("evenkeel.epoch", epoch.ToString()), new("evenkeel.node", self.Value)];

    private IEnumerable<KeyValuePair<string, object?>> Why(string words) => [new("evenkeel.words", words), new("evenkeel.node", self.Value)];

    private static void Remember<TKey, TValue>(Dictionary<TKey, TValue> memory, TKey key, TValue value) where TKey : notnull
    {
        if (memory.Count >= Most)
        {
            memory.Clear();
        }

        memory[key] = value;
    }

    private static DateTimeOffset Wall(Instant moment) =>
        DateTimeOffset.UtcNow - TimeSpan.FromTicks((SystemClock.Now.BootNanoseconds - moment.BootNanoseconds) / 100);
}
