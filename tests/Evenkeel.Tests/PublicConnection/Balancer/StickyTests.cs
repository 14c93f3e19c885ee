using System.Text.RegularExpressions;
using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer;

public sealed partial class StickyTests
{
    private static readonly DoorSpec sticky = new() { Http = new HttpDoorSpec { Sticky = new StickySpec("seat", TimeSpan.FromHours(1)) } };

    [Fact]
    public async Task Cookie_SentBack_ClientStaysWithItsInstance()
    {
        await using var a = new ScriptedInstance("a");
        await using var b = new ScriptedInstance("b");
        await using var door = await HttpDoor.OpenAsync(sticky, null, a.Destination(), b.Destination());
        var first = await door.GetAsync("/");
        Assert.Contains("path=/; samesite=lax; httponly", first, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("max-age=3600", first, StringComparison.Ordinal);
        Assert.DoesNotContain("secure", first, StringComparison.OrdinalIgnoreCase);
        for (var i = 0; i < 5; i++)
        {
            var again = await door.GetAsync("/", "Cookie: other=1; seat=" + Seat(first));
            Assert.Equal(first[^1], again[^1]);
            Assert.DoesNotContain("Set-Cookie", again, StringComparison.OrdinalIgnoreCase);
        }
    }

    [Fact]
    public async Task Cookie_InstanceIsGone_ClientGetsAnotherSeat()
    {
        await using var a = new ScriptedInstance("a");
        await using var b = new ScriptedInstance("b");
        await using var door = await HttpDoor.OpenAsync(sticky, null, a.Destination());
        var first = await door.GetAsync("/");
        door.Publish(sticky, a.Destination(DestinationState.Draining), b.Destination());
        var second = await door.GetAsync("/", "Cookie: seat=" + Seat(first));
        Assert.EndsWith("b", second, StringComparison.Ordinal);
        Assert.NotEqual(Seat(first), Seat(second));
    }

    [Fact]
    public async Task Cookie_MeansNobody_RequestIsBalanced()
    {
        await using var a = new ScriptedInstance("a");
        await using var door = await HttpDoor.OpenAsync(sticky, null, a.Destination());
        Assert.Matches("^[0-9a-f]{16}$", Seat(await door.GetAsync("/", "Cookie: seat=127.0.0.1:80")));
    }

    private static string Seat(string answer) => SetCookie().Match(answer).Groups[1].Value;

    [GeneratedRegex("Set-Cookie: seat=([^;]*);", RegexOptions.IgnoreCase)]
    private static partial Regex SetCookie();
}
