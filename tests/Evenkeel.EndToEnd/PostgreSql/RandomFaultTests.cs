using System.Diagnostics;
using System.Globalization;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.EndToEnd.PostgreSql;

/// <summary>A few of what <see cref="ManyFaultsTests"/> is made of.</summary>
[Trait("needs", "root")]
[Collection(HotDatabaseCollection.Name)]
[Trait("Turn", "2")]
public sealed class RandomFaultTests(HotDatabaseLab lab, ITestOutputHelper output)
{
    [Fact]
    public Task Faults_InARow_NoAcknowledgedWriteIsLostAndOnePrimaryAtEveryMoment() => RandomFaults.PlayAsync(lab, seed: 5, count: 4, output);
}

/// <summary>Fifty of them. Others: <c>EVENKEEL_FAULT_SEED=N</c>; more or fewer: <c>EVENKEEL_FAULTS=N</c>.</summary>
[Trait("needs", "root")]
[Trait("Stage", "long")]
public sealed class ManyFaultsTests(RoomyDatabaseLab lab, ITestOutputHelper output) : IClassFixture<RoomyDatabaseLab>
{
    [Fact]
    public Task FiftyFaults_InARow_NoAcknowledgedWriteIsLostAndOnePrimaryAtEveryMoment() =>
        RandomFaults.PlayAsync(lab, Number("EVENKEEL_FAULT_SEED", 1), Number("EVENKEEL_FAULTS", 50), output);

    private static int Number(string variable, int otherwise) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : otherwise;
}

/// <summary>One fault after the other, drawn from a seed, on any node, sometimes two at once, for a random while.</summary>
internal static class RandomFaults
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static async Task PlayAsync(DatabaseLab lab, int seed, int count, ITestOutputHelper output)
    {
#pragma warning disable CA5394 // Replayable, not secret.
        var random = new Random(seed);
        output.WriteLine($"seed {seed}, {count} faults");
        await using var run = await DatabaseRun.BeginAsync(lab);
        for (var round = 1; round <= count; round++)
        {
            // Drawn before anything is looked at: what the cluster does changes no later draw.
            var (fault, place) = (DatabaseFault.All[random.Next(DatabaseFault.All.Count)], random.Next(4));
            var (second, apart) = (random.Next(5) == 0 ? DatabaseFault.All[random.Next(DatabaseFault.All.Count)] : null, TimeSpan.FromMilliseconds(random.Next(400)));
            var lasts = TimeSpan.FromMilliseconds(200 + random.Next(2800));
            // The primary half of the time.
            var nodes = lab.Cluster.Spec.Nodes.Keys.ToList();
            var node = place < 2 ? await lab.PrimaryAsync() ?? nodes[place] : nodes[(place + round) % 3];
            var other = nodes[(nodes.IndexOf(node) + 1 + place % 2) % 3];
            var watch = Stopwatch.StartNew();
            await fault.HitAsync(lab, node, Token);
            if (second is not null)
            {
                await Task.Delay(apart, Token);
                await second.HitAsync(lab, other, Token);
            }

            await Task.Delay(lasts, Token);
            await lab.RestoreAsync();
            output.WriteLine($"{round}: {fault.Name} on {node}{(second is null ? "" : $", {second.Name} on {other}")} for {lasts.TotalMilliseconds:0} ms; whole after {watch.Elapsed.TotalSeconds:0.0} s");
        }
#pragma warning restore CA5394

        Safety.NothingIsLost(await run.EndAsync($"{count} faults of seed {seed}", output));
    }
}
