using System.Diagnostics;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>An agent that is restarted under load, as its unit does after an upgrade of the package.</summary>
[Trait("needs", "root")]
[Trait("Stage", "long")]
public sealed class RestartTests(ITestOutputHelper output) : IAsyncLifetime
{
    private const string Cluster = "restart";
    private Servers servers = null!;

    public async ValueTask InitializeAsync() => servers = await Servers.StartAsync(Cluster);

    public ValueTask DisposeAsync() => servers.DisposeAsync();

    [Fact]
    public async Task Agent_Restarted_OfAnotherNodeClientsNoticeNothing_OfTheOwnerTheVirtualIpMovesFirst()
    {
        await servers.InitAllAsync();
        servers.StartAgents();
        await servers.WholeAsync();
        await servers.ServesAsync();
        var owner = await servers.OwnerAsync();
        var other = new[] { "n1", "n2", "n3" }.First(node => node != owner);
        await servers.UndisturbedAsync(() => RestartAsync(other));
        owner = await servers.OwnerAsync();

        using var observer = await servers.ObserveAsync(Servers.Patient);
        await RestartAsync(owner);
        var seen = await observer.EndAsync();
        output.WriteLine($"{owner} to {await servers.OwnerAsync()}: {seen.Failed.Count} of {seen.Requests.Count} failed, longest pause {seen.LongestOutage:F0} ms");
        Assert.True(seen.Failed.Count == 0, servers.Evidence(seen));
        Safety.OneOwner(seen);
        Assert.Equal(2, seen.Owners.Count);
    }

    private async Task RestartAsync(string node)
    {
        var took = Stopwatch.StartNew();
        await servers.LeaveAsync(node);
        servers.StartAgent(node);
        await servers.WholeAsync();
        output.WriteLine($"{node}'s agent was replaced, and all was well, after {took.Elapsed.TotalSeconds:F1} s");
    }
}
