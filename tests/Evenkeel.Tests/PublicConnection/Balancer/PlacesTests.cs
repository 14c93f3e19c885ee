using System.Collections.Concurrent;
using System.Net.Http;
using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Http;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer;

/// <summary>Requests beyond what an instance or an entry may have at once: they wait in line, or are told to come back.</summary>
public sealed class PlacesTests
{
    private static readonly HttpBalancerOptions patient = new() { UncheckedSilence = TimeSpan.FromMinutes(1) };

    [Fact]
    public async Task PerInstance_AllTaken_NextWaitsAndGetsThePlaceThatBecomesFree()
    {
        await using var shop = await Shop.OpenAsync(new DoorSpec { MaxPerDestination = 1 }, "a", "b");
        var first = shop.Ask("/1");
        await shop.ArrivedAsync(1);
        var second = shop.Ask("/2");
        await shop.ArrivedAsync(2);
        var third = shop.Ask("/3");
        await shop.WaitingAsync(1);
        Assert.Equal(2, shop.Inside);
        shop.Finish("/1");
        await first;
        await shop.ArrivedAsync(3);
        shop.Finish("/2");
        shop.Finish("/3");
        Assert.Contains("200 OK", await second, StringComparison.Ordinal);
        Assert.Contains("200 OK", await third, StringComparison.Ordinal);
        Assert.Equal(1, shop.MostAtOneInstance);
    }

    [Fact]
    public async Task Requests_OfTheEntry_AreServedInTheOrderOfTheirComing()
    {
        await using var shop = await Shop.OpenAsync(new DoorSpec { Http = new HttpDoorSpec { MaxRequests = 1 } }, "a", "b");
        List<Task<string>> asked = [];
        for (var i = 0; i < 4; i++)
        {
            asked.Add(shop.Ask($"/{i}"));
            if (i == 0) await shop.ArrivedAsync(1);
            else await shop.WaitingAsync(i);
        }
        for (var i = 0; i < 4; i++)
        {
            await shop.ArrivedAsync(i + 1);
            Assert.Equal(1, shop.Inside);
            shop.Finish($"/{i}");
            Assert.Contains("200 OK", await asked[i], StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Line_IsFull_NextIsToldToComeBack()
    {
        await using var shop = await Shop.OpenAsync(new DoorSpec { MaxPerDestination = 1, MaxWaiting = 1 }, "a");
        var (first, second) = (shop.Ask("/1"), Task.FromResult(""));
        await shop.ArrivedAsync(1);
        second = shop.Ask("/2");
        await shop.WaitingAsync(1);
        var third = await shop.Ask("/3");
        Assert.StartsWith("HTTP/1.1 503 ", third, StringComparison.Ordinal);
        Assert.Contains("Retry-After: 1", third, StringComparison.Ordinal);
        shop.Finish("/1");
        await first;
        shop.Finish("/2");
        Assert.Contains("200 OK", await second, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Wait_IsOver_IsToldToComeBackAndHoldsNoPlace()
    {
        await using var shop = await Shop.OpenAsync(new DoorSpec { MaxPerDestination = 1, WaitTimeout = TimeSpan.FromMilliseconds(50) }, "a");
        var first = shop.Ask("/1");
        await shop.ArrivedAsync(1);
        Assert.StartsWith("HTTP/1.1 503 ", await shop.Ask("/2"), StringComparison.Ordinal);
        shop.Finish("/1");
        await first;
        shop.Finish("/3");
        Assert.Contains("200 OK", await shop.Ask("/3"), StringComparison.Ordinal);
        Assert.Empty(shop.Seen("/2"));
    }

    [Fact]
    public async Task Client_GoesAwayInLine_ItsTurnIsTheNexts()
    {
        await using var shop = await Shop.OpenAsync(new DoorSpec { MaxPerDestination = 1 }, "a");
        var first = shop.Ask("/1");
        await shop.ArrivedAsync(1);
        using var gone = new CancellationTokenSource();
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        var second = client.GetAsync(new Uri($"http://{shop.Listen}/2"), gone.Token);
        await shop.WaitingAsync(1);
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        await shop.WaitingAsync(0);
        var third = shop.Ask("/3");
        await shop.WaitingAsync(1);
        shop.Finish("/1");
        shop.Finish("/3");
        Assert.Contains("200 OK", await third, StringComparison.Ordinal);
        await first;
        Assert.Empty(shop.Seen("/2"));
    }

    [Fact]
    public async Task Seat_IsTaken_ItsClientWaitsForItThoughAnotherIsFree()
    {
        await using var shop = await Shop.OpenAsync(new DoorSpec { MaxPerDestination = 1, Http = new HttpDoorSpec { Sticky = new StickySpec("seat", null) } }, "a", "b");
        shop.Finish("/seat");
        var answer = await shop.Ask("/seat");
        var (seat, own) = (answer.Split("seat=")[1][..16], answer[^1..]);
        var first = shop.Ask("/1", $"Cookie: seat={seat}");
        await shop.ArrivedAsync(2);
        var second = shop.Ask("/2", $"Cookie: seat={seat}");
        await shop.WaitingAsync(1);
        shop.Finish("/any");
        Assert.EndsWith(own == "a" ? "b" : "a", await shop.Ask("/any"), StringComparison.Ordinal);
        shop.Finish("/1");
        shop.Finish("/2");
        Assert.EndsWith(own, await first, StringComparison.Ordinal);
        Assert.EndsWith(own, await second, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Limit_IsLifted_ThoseInLineAreServed()
    {
        await using var shop = await Shop.OpenAsync(new DoorSpec { MaxPerDestination = 1 }, "a");
        var first = shop.Ask("/1");
        await shop.ArrivedAsync(1);
        var second = shop.Ask("/2");
        await shop.WaitingAsync(1);
        shop.Publish(DoorSpec.Default);
        await shop.ArrivedAsync(2);
        shop.Finish("/1");
        shop.Finish("/2");
        await Task.WhenAll(first, second);
    }

    /// <summary>Instances whose answers wait until their request's path is finished.</summary>
    private sealed class Shop : IAsyncDisposable
    {
        private readonly HttpDoor door = new(patient);
        private readonly ScriptedInstance[] instances;
        private readonly ConcurrentDictionary<string, TaskCompletionSource> finished = new();
        private readonly SemaphoreSlim arrivals = new(0);
        private readonly ConcurrentDictionary<string, int> inside = new();
        private int arrived, most;

        private Shop(string[] names)
        {
            instances = [.. names.Select(name => new ScriptedInstance(name))];
            foreach (var instance in instances)
                instance.Answer = async request =>
                {
                    var here = inside.AddOrUpdate(instance.Name, 1, static (_, count) => count + 1);
                    InterlockedMax(here);
                    arrivals.Release();
                    await Gate(request.Path).Task;
                    inside.AddOrUpdate(instance.Name, 0, static (_, count) => count - 1);
                    return instance.Name;
                };
        }

        public PublicEndpoint Listen => door.Listen;
        public int Inside => inside.Values.Sum();
        public int MostAtOneInstance => Volatile.Read(ref most);

        public static async Task<Shop> OpenAsync(DoorSpec spec, params string[] names)
        {
            var shop = new Shop(names);
            shop.Publish(spec);
            await shop.door.OpenAsync();
            return shop;
        }

        public void Publish(DoorSpec spec) => door.Publish(spec, [.. instances.Select(one => one.Destination())]);
        public Task<string> Ask(string path, params string[] headers) => door.GetAsync(path, headers);
        public void Finish(string path) => Gate(path).TrySetResult();
        public IEnumerable<ScriptedInstance.Seen> Seen(string path) => instances.SelectMany(one => one.To(path));

        /// <summary>So many requests have reached an instance since the beginning.</summary>
        public async Task ArrivedAsync(int count)
        {
            for (; arrived < count; arrived++) Assert.True(await arrivals.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken), $"{arrived} of {count} arrived");
        }

        public async Task WaitingAsync(int count)
        {
            while (door.Balancer.Snapshot().Doors.Single().Waiting != count) await Task.Delay(1, TestContext.Current.CancellationToken);
        }

        public async ValueTask DisposeAsync()
        {
            await door.DisposeAsync();
            foreach (var instance in instances) await instance.DisposeAsync();
        }

        private TaskCompletionSource Gate(string path) => finished.GetOrAdd(path, static _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));

        private void InterlockedMax(int value)
        {
            for (var seen = Volatile.Read(ref most); value > seen;) seen = Interlocked.CompareExchange(ref most, value, seen);
        }
    }
}
