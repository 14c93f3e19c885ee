using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;
using Evenkeel.Core.Loop.Ports;
using Xunit;

namespace Evenkeel.Tests.Store.Linearizability;

/// <summary>
/// Clients that read, write, swap and delete a few keys at random and at once, and record what they were told. Unknown
/// outcomes are retried under the same request id half of the time, as an agent would, and left open otherwise.
/// </summary>
public sealed class RecordedClients(int seed)
{
    private const string Prefix = "history/";
    private static readonly string[] s_keys = [Prefix + "a", Prefix + "b", Prefix + "c"];
    private readonly ConcurrentDictionary<string, ConcurrentQueue<RegisterOperation>> _histories =
        new(s_keys.Select(key => KeyValuePair.Create(key, new ConcurrentQueue<RegisterOperation>())));
    private int _values;

    public ConcurrentDictionary<CommitOutcome, int> Outcomes { get; } = new();
    public int Reads { get; private set; }

    /// <summary>Each client makes <paramref name="calls"/> calls, or fewer when <paramref name="enough"/> comes first.</summary>
    public async Task RunAsync(IReadOnlyList<ICoordinationStore> clients, int calls, CancellationToken enough) =>
        await Task.WhenAll(clients.Select((store, index) => Task.Run(() => ClientAsync(store, new Random(seed * 31 + index), calls, enough), CancellationToken.None)));

    public void AssertLinearizable()
    {
        foreach (var (key, history) in _histories)
        {
            Assert.True(LinearizabilityChecker.IsLinearizable([.. history]), $"{key} is not linearizable (seed {seed}):\n{string.Join('\n', history.OrderBy(o => o.Called))}");
        }
    }

    private async Task ClientAsync(ICoordinationStore store, Random random, int calls, CancellationToken enough)
    {
        var seen = s_keys.ToDictionary(key => key, _ => (Revision: 0L, Value: (string?)null));
        for (var i = 0; i < calls && !enough.IsCancellationRequested; i++)
        {
            if (random.Next(3) == 0)
            {
                await ReadAsync(store, seen);
                continue;
            }

            var key = s_keys[random.Next(s_keys.Length)];
            var value = random.Next(5) == 0 ? null : $"v{Interlocked.Increment(ref _values)}";
            // (A conditional of null and byte[] would be an empty value, not a deletion.)
            var write = value is null ? new Write(key, null) : new Write(key, Encoding.UTF8.GetBytes(value));
            // Deletes only as swaps from a known value: 'absent' is the one value that is not unique.
            var swap = value is null || random.Next(2) == 0;
            if (value is null && seen[key].Value is null)
            {
                continue;
            }

            var transaction = new Transaction(Guid.NewGuid(), swap ? [new Compare(key, seen[key].Revision)] : [], [write]);
            await CommitAsync(store, transaction, swap, seen[key].Value, value, random);
        }
    }

    private async Task ReadAsync(ICoordinationStore store, Dictionary<string, (long, string?)> seen)
    {
        var called = Stopwatch.GetTimestamp();
        StoreSnapshot snapshot;
        try
        {
            snapshot = await store.ReadAsync(Prefix, CancellationToken.None);
        }
        catch (StoreUnavailableException)
        {
            return;
        }

        var returned = Stopwatch.GetTimestamp();
        Reads++;
        foreach (var key in s_keys)
        {
            var entry = snapshot.Entries.SingleOrDefault(entry => entry.Key == key);
            seen[key] = entry is null ? (0, null) : (entry.ModRevision, Encoding.UTF8.GetString(entry.Value.Span));
            _histories[key].Enqueue(new RegisterOperation(RegisterAction.Read, null, seen[key].Item2, called, returned));
        }
    }

    private async Task CommitAsync(ICoordinationStore store, Transaction transaction, bool swap, string? expected, string? value, Random random)
    {
        var called = Stopwatch.GetTimestamp();
        var result = await store.CommitAsync(transaction, CancellationToken.None);
        Outcomes.AddOrUpdate(result.Outcome, 1, (_, count) => count + 1);
        for (var retry = 0; result.Outcome == CommitOutcome.Indeterminate && retry < 5 && random.Next(2) == 0; retry++)
        {
            result = await store.CommitAsync(transaction, CancellationToken.None);
        }

        var returned = result.Outcome == CommitOutcome.Indeterminate ? RegisterOperation.Unknown : Stopwatch.GetTimestamp();
        var action = swap ? RegisterAction.Swap : RegisterAction.Write;
        switch (result.Outcome)
        {
            case CommitOutcome.Unavailable:
                return; // surely not applied: its value must never be seen
            case CommitOutcome.Conflict:
                Assert.True(swap, $"a write without compares cannot conflict: {result.Reason}");
                action = RegisterAction.FailedSwap;
                break;
        }

        _histories[transaction.Writes[0].Key].Enqueue(new RegisterOperation(action, expected, value, called, returned));
    }
}
