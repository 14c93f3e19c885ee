using System.Net;
using System.Text.Json;
using Evenkeel.Agent.Api;
using Evenkeel.Agent.Control;
using Evenkeel.Tests.Cli;
using Xunit;

namespace Evenkeel.Tests.Api;

/// <summary>The control API over TLS: who may do what, and what becomes of the others.</summary>
public sealed class ApiGateTests : IAsyncLifetime
{
    private readonly ApiHost _api = new();
    private const string Drain = """{"mode":"draining","reason":"new disk"}""";

    public async ValueTask InitializeAsync() => await _api.OpenAsync();
    public ValueTask DisposeAsync() => _api.DisposeAsync();

    [Theory]
    [InlineData(null)]
    [InlineData("evk_0000000000000000000000000000000000000000")]
    [InlineData("")]
    public async Task Stranger_GetsNothing_AndIsOnTheTrail(string? token)
    {
        var (code, body) = await _api.AskAsync(token, HttpMethod.Get, ControlRoutes.Status);
        Assert.Equal(HttpStatusCode.Unauthorized, code);
        Assert.DoesNotContain("nodes", body, StringComparison.Ordinal);
        var entry = Assert.Single(_api.Trail.Last(9));
        Assert.Equal(("127.0.0.1", "connect to the control API", "refused"), (entry.Name, entry.What, entry.Outcome));
        Assert.Contains(_api.Log, line => line.Contains("refused 127.0.0.1 at the control API", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Stranger_AgainAndAgain_IsOneEntryAMinuteWithItsCount()
    {
        for (var i = 0; i < 5; i++) await _api.AskAsync(null, HttpMethod.Get, ControlRoutes.Status);
        Assert.Single(_api.Trail.Last(9));
        _api.Clock.Now += TimeSpan.FromMinutes(1);
        await _api.AskAsync(null, HttpMethod.Get, ControlRoutes.Status);
        Assert.Contains("4 times more", _api.Trail.Last(9)[1].Said, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ApiRole.Viewer, HttpStatusCode.OK, HttpStatusCode.Forbidden, HttpStatusCode.Forbidden)]
    [InlineData(ApiRole.Operator, HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.Forbidden)]
    [InlineData(ApiRole.Admin, HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.OK)]
    public async Task Role_MayDoAllThatTheLesserOnesMay_AndNoMore(ApiRole role, HttpStatusCode looks, HttpStatusCode drains, HttpStatusCode audits)
    {
        var token = await _api.TokenAsync("ci", role);
        Assert.Equal(looks, (await _api.AskAsync(token, HttpMethod.Get, ControlRoutes.Status)).Code);
        Assert.Equal(drains, (await _api.AskAsync(token, HttpMethod.Post, "/v1/nodes/n2/mode", Drain)).Code);
        Assert.Equal(audits, (await _api.AskAsync(token, HttpMethod.Get, ControlRoutes.Audit)).Code);
        // A route that nobody has described is an admin's, one that is not there too.
        Assert.Equal(role == ApiRole.Admin ? HttpStatusCode.NotFound : HttpStatusCode.Forbidden, (await _api.AskAsync(token, HttpMethod.Get, "/v1/nothing")).Code);
    }

    [Fact]
    public async Task Change_IsOnTheTrailWithTheTokensName_AndARefusedRoleToo()
    {
        await _api.AskAsync(await _api.TokenAsync("deploy", ApiRole.Operator), HttpMethod.Post, "/v1/nodes/n2/mode", Drain);
        var done = Assert.Single(_api.Trail.Last(9));
        Assert.Equal(("token deploy (operator) from 127.0.0.1", "nodes/n2/mode draining (new disk)", "done"), (done.Name, done.What, done.Outcome));
        await _api.AskAsync(await _api.TokenAsync("screen", ApiRole.Viewer), HttpMethod.Post, "/v1/nodes/n2/mode", Drain);
        var refused = _api.Trail.Last(9)[1];
        Assert.Equal("refused", refused.Outcome);
        Assert.Contains("'screen' is of a viewer", refused.Said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Token_ThatHasEnded_OrWasRevoked_IsWorthNothing()
    {
        var token = await _api.TokenAsync("short", ApiRole.Admin, TimeSpan.FromHours(1));
        Assert.Equal(HttpStatusCode.OK, (await _api.AskAsync(token, HttpMethod.Get, ControlRoutes.Status)).Code);
        _api.Clock.Now += TimeSpan.FromHours(1);
        Assert.Equal(HttpStatusCode.Unauthorized, (await _api.AskAsync(token, HttpMethod.Get, ControlRoutes.Status)).Code);
        Assert.Contains("'short' has ended", _api.Trail.Last(1)[0].Said, StringComparison.Ordinal);
        var other = await _api.TokenAsync("other", ApiRole.Admin);
        Assert.Equal(HttpStatusCode.OK, (await _api.AskAsync(other, HttpMethod.Post, "/v1/api-tokens/other/revocation")).Code);
        // At once for changes, which ask the store; for looks as soon as this node has heard of it.
        Assert.Equal(HttpStatusCode.Unauthorized, (await _api.AskAsync(other, HttpMethod.Post, "/v1/nodes/n2/mode", Drain)).Code);
    }

    [Fact]
    public async Task Tokens_AreKeptAsHashesAlone_AndMadeOnceEach()
    {
        var admin = await _api.TokenAsync("root", ApiRole.Admin);
        var (code, body) = await _api.AskAsync(admin, HttpMethod.Post, ControlRoutes.ApiTokens, """{"name":"ci","role":"viewer","lifetime":"01:00:00"}""");
        Assert.Equal(HttpStatusCode.OK, code);
        var made = JsonDocument.Parse(body).RootElement.GetProperty("token").GetString()!;
        foreach (var entry in (await _api.Store.ReadAsync("/", CancellationToken.None)).Entries)
            Assert.DoesNotContain(made[ApiTokens.Prefix.Length..], System.Text.Encoding.UTF8.GetString(entry.Value.Span), StringComparison.Ordinal);
        Assert.DoesNotContain(made, (await _api.AskAsync(admin, HttpMethod.Get, ControlRoutes.ApiTokens)).Body, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.Conflict, (await _api.AskAsync(admin, HttpMethod.Post, ControlRoutes.ApiTokens, """{"name":"ci","role":"admin","lifetime":"01:00:00"}""")).Code);
        Assert.Equal(HttpStatusCode.BadRequest, (await _api.AskAsync(admin, HttpMethod.Post, ControlRoutes.ApiTokens, """{"name":"../x","role":"admin","lifetime":"01:00:00"}""")).Code);
        Assert.Equal(HttpStatusCode.BadRequest, (await _api.AskAsync(admin, HttpMethod.Post, ControlRoutes.ApiTokens, """{"name":"x","role":"admin","lifetime":"00:00:00"}""")).Code);
    }

    [Fact]
    public async Task File_ThatNoLongerAsksForIt_ClosesThePort()
    {
        _api.Spec = _api.Spec with { Api = null };
        for (var limit = DateTime.UtcNow.AddSeconds(10); ; await Task.Delay(20, TestContext.Current.CancellationToken))
        {
            try
            {
                using var probe = new System.Net.Sockets.TcpClient();
                await probe.ConnectAsync(IPAddress.Loopback, _api.Port, TestContext.Current.CancellationToken);
                Assert.True(DateTime.UtcNow < limit, "the port stays open");
            }
            catch (System.Net.Sockets.SocketException)
            {
                return;
            }
        }
    }
}
