using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Http;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer;

/// <summary>Requests that belong together meet at one instance, by a header or a cookie of theirs.</summary>
public sealed class HashTests
{
    [Theory]
    [InlineData(BalancePolicy.HeaderHash, "X-Tenant: {0}")]
    [InlineData(BalancePolicy.CookieHash, "Cookie: other=1; X-Tenant={0}")]
    public async Task SameValue_SameInstance_AndALostOneTakesOnlyItsOwnAlong(BalancePolicy policy, string header)
    {
        await using var three = await Three.OpenAsync(policy);
        var before = new Dictionary<int, string>();
        for (var tenant = 0; tenant < 30; tenant++)
        {
            before[tenant] = await three.AskAsync(Of(header, tenant));
            Assert.Equal(before[tenant], await three.AskAsync(Of(header, tenant)));
        }
        Assert.Equal(3, before.Values.Distinct().Count());
        three.Publish(policy, lost: "b");
        for (var tenant = 0; tenant < 30; tenant++)
        {
            var now = await three.AskAsync(Of(header, tenant));
            if (before[tenant] == "b") Assert.NotEqual("b", now);
            else Assert.Equal(before[tenant], now);
        }
    }

    [Fact]
    public async Task RequestWithoutTheHeader_IsBalanced()
    {
        await using var three = await Three.OpenAsync(BalancePolicy.HeaderHash);
        var answers = new HashSet<string>();
        while (answers.Count < 3) answers.Add(await three.AskAsync("X-Other: a"));
    }

    private static string Of(string header, int tenant) => string.Format(System.Globalization.CultureInfo.InvariantCulture, header, tenant);

    private sealed class Three : IAsyncDisposable
    {
        private readonly ScriptedInstance[] instances = [new("a"), new("b"), new("c")];
        private readonly HttpDoor door = new(new HttpBalancerOptions { UncheckedSilence = TimeSpan.FromMinutes(1) });

        public static async Task<Three> OpenAsync(BalancePolicy policy)
        {
            var three = new Three();
            three.Publish(policy, lost: null);
            await three.door.OpenAsync();
            return three;
        }

        public void Publish(BalancePolicy policy, string? lost)
        {
            door.Policy = policy;
            door.Publish(new DoorSpec { Http = new HttpDoorSpec { HashOf = "X-Tenant" } },
                [.. instances.Select(one => one.Destination(one.Name == lost ? DestinationState.Down : DestinationState.Up))]);
        }

        public async Task<string> AskAsync(string header) => (await door.GetAsync("/", header))[^1..];

        public async ValueTask DisposeAsync()
        {
            await door.DisposeAsync();
            foreach (var instance in instances) await instance.DisposeAsync();
        }
    }
}
