using System.Net;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Host;

/// <summary>The wall around the private networks is looked at again: what others take away, or what could not be built, is built.</summary>
public sealed class PrivateWallTests
{
    private readonly List<string> _log = [];
    private string? _standing;
    private string? _failure;
    private int _builds;
    private readonly PrivateWall _wall;

    public PrivateWallTests() => _wall = new PrivateWall(new AgentConfiguration
    {
        Cluster = "shop", Node = new NodeName("n1"), StateDirectory = "/nowhere", ControlSocket = "c", GuardSocket = "g", Private = ["10.0.0.1"], Store = StoreKind.Etcd, StoreEndpoints = [],
        PublicInterface = "none9", WorkingDirectory = "/",
    }, _log.Add, Nft);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Look_WallStands_IsNotBuiltAgain()
    {
        await _wall.LookAsync([], Token);
        await _wall.LookAsync([], Token);
        Assert.Equal(1, _builds);
        await _wall.LookAsync([IPNetwork.Parse("10.0.0.0/24")], Token);
        Assert.Equal(2, _builds);
        Assert.Empty(_log);
    }

    [Theory, InlineData(null), InlineData("table inet evenkeel_private { }")]
    public async Task Look_TakenAwayOrChanged_IsBuiltAnewAndTold(string? left)
    {
        await _wall.LookAsync([], Token);
        var built = _standing;
        _standing = left;
        await _wall.LookAsync([], Token);
        Assert.Equal(built, _standing);
        Assert.Contains("built anew", Assert.Single(_log), StringComparison.Ordinal);
        Assert.Null(_wall.Missing);
    }

    [Fact]
    public async Task Look_NftFails_IsShownAndTriedAgain()
    {
        _failure = "no nft here";
        await _wall.LookAsync([], Token);
        await _wall.LookAsync([], Token);
        Assert.Contains("no nft here", _wall.Missing!.What, StringComparison.Ordinal);
        Assert.Single(_log);
        _failure = null;
        await _wall.LookAsync([], Token);
        Assert.NotNull(_standing);
        Assert.Null(_wall.Missing);
        Assert.Equal(2, _log.Count);
    }

    [Fact]
    public async Task Look_GoneAndNftFails_IsShown()
    {
        await _wall.LookAsync([], Token);
        (_standing, _failure) = (null, "no nft any more");
        await _wall.LookAsync([], Token);
        Assert.Contains("no nft any more", _wall.Missing!.What, StringComparison.Ordinal);
    }

    private Task<string> Nft(IReadOnlyList<string> command, CancellationToken cancellation)
    {
        if (command.Contains("list"))
        {
            return _standing is { } standing ? Task.FromResult(standing) : throw new LocalClusterException("no such table");
        }

        if (_failure is { } failure)
        {
            throw new LocalClusterException(failure);
        }

        (_standing, _builds) = (command[1], _builds + 1);
        return Task.FromResult("");
    }
}
