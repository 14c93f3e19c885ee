using System.Net.Sockets;
using System.Text;
using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer;

/// <summary>How large and how slow a request may be, and what clients see when nobody can answer.</summary>
public sealed class LimitTests : IDisposable
{
    private readonly string directory = Directory.CreateTempSubdirectory("evenkeel-pages-").FullName;

    [Theory]
    [InlineData("POST", "Content-Length: 1000\r\n\r\n", 1000, "200")]
    [InlineData("POST", "Content-Length: 1001\r\n\r\n", 1001, "413")]
    [InlineData("PUT", "Content-Length: 1001\r\n\r\n", 1001, "413")]
    // What frames the chunks counts too.
    [InlineData("POST", "Transfer-Encoding: chunked\r\n\r\n3d4\r\n", 980, "200")]
    [InlineData("POST", "Transfer-Encoding: chunked\r\n\r\n3e9\r\n", 1001, "413")]
    public async Task Body_BeyondTheEntrysLimit_IsRefused(string method, string framing, int length, string status)
    {
        await using var instance = new Conformance.RecordingInstance();
        await using var door = await HttpDoor.OpenAsync(Http(new HttpDoorSpec { MaxBodyBytes = 1000 }), null, instance.Destination());
        var end = framing.Contains("chunked", StringComparison.Ordinal) ? "\r\n0\r\n\r\n" : "";
        var answer = await door.SayAsync(Encoding.Latin1.GetBytes($"{method} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{framing}{new string('b', length)}{end}"));
        Assert.StartsWith($"HTTP/1.1 {status}", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Body_OfAnotherEntryOfThePort_MayBeAsLargeAsThatSays()
    {
        await using var instance = new ScriptedInstance("a");
        await using var door = await HttpDoor.OpenAsync(DoorSpec.Default, null, instance.Destination());
        var route = new Route { Service = "web", Vip = "front", Listen = door.Listen, Protocol = PublishProtocol.Http, Balance = BalancePolicy.RoundRobin, Health = null, Destinations = [instance.Destination()] };
        door.Balancer.Publish(new RouteTable(100,
        [
            route with { Door = Http(new HttpDoorSpec { MaxBodyBytes = 10 }) },
            route with { Service = "upload", Door = Http(new HttpDoorSpec { MaxBodyBytes = 1000, Paths = ["/upload"] }) },
        ]));
        Assert.StartsWith("HTTP/1.1 413", await SendAsync("/"), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 200", await SendAsync("/upload"), StringComparison.Ordinal);

        Task<string> SendAsync(string path) => door.SayAsync(Encoding.Latin1.GetBytes($"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 500\r\n\r\n{new string('b', 500)}"));
    }

    [Fact]
    public async Task Head_BeyondThePortsLimit_IsRefused_AndTheLimitChangesAtOnce()
    {
        await using var instance = new ScriptedInstance("a");
        await using var door = await HttpDoor.OpenAsync(Http(new HttpDoorSpec { MaxHeadBytes = 2048 }), null, instance.Destination());
        var long4 = "X-Long: " + new string('h', 4000);
        Assert.StartsWith("HTTP/1.1 431", await door.GetAsync("/", long4), StringComparison.Ordinal);
        door.Publish(Http(new HttpDoorSpec { MaxHeadBytes = 8192 }), instance.Destination());
        Assert.StartsWith("HTTP/1.1 200", await door.GetAsync("/", long4), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Head_ComesTooSlowly_ClientIsTold()
    {
        await using var instance = new ScriptedInstance("a");
        await using var door = await HttpDoor.OpenAsync(Http(new HttpDoorSpec { HeadTime = TimeSpan.FromSeconds(1) }), null, instance.Destination());
        var began = Environment.TickCount64;
        Assert.StartsWith("HTTP/1.1 408", await door.SayAsync("GET / HTTP/1.1\r\nHost: x\r\n"u8.ToArray()), StringComparison.Ordinal);
        // The default is ten seconds.
        Assert.InRange(Environment.TickCount64 - began, 900, 7000);
        Assert.Empty(instance.Requests);
    }

    [Fact]
    public async Task MaintenancePage_NobodyServes_IsTheOperatorsOne_AndFollowsItsFile()
    {
        var file = Path.Combine(directory, "sorry.html");
        await File.WriteAllTextAsync(file, "<p>back at noon</p>", TestContext.Current.CancellationToken);
        var spec = Http(new HttpDoorSpec { MaintenancePage = file });
        await using var door = await HttpDoor.OpenAsync(spec, null);
        var answer = await door.GetAsync("/");
        Assert.StartsWith("HTTP/1.1 503", answer, StringComparison.Ordinal);
        Assert.EndsWith("\r\n\r\n<p>back at noon</p>", answer, StringComparison.Ordinal);
        await File.WriteAllTextAsync(file, "<p>back at one</p>", TestContext.Current.CancellationToken);
        File.SetLastWriteTimeUtc(file, DateTime.UtcNow.AddMinutes(1));
        for (var until = Environment.TickCount64 + 10_000; ; await Task.Delay(50, TestContext.Current.CancellationToken))
            if ((await door.GetAsync("/")).EndsWith("<p>back at one</p>", StringComparison.Ordinal)) break;
            else Assert.True(Environment.TickCount64 < until, "the page of before is still shown");
    }

    [Fact]
    public async Task MaintenancePage_CannotBeRead_OursIsShownAndOneIsTold()
    {
        var told = new System.Collections.Concurrent.ConcurrentQueue<string>();
        await using var door = await HttpDoor.OpenAsync(Http(new HttpDoorSpec { MaintenancePage = Path.Combine(directory, "none.html") }), told.Enqueue);
        Assert.Contains("Temporarily unavailable", await door.GetAsync("/"), StringComparison.Ordinal);
        Assert.Contains("none.html cannot be used", Assert.Single(told), StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(directory, recursive: true);

    private static DoorSpec Http(HttpDoorSpec http) => new() { Http = http };
}
