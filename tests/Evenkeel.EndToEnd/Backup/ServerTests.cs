using System.Net;
using System.Security.Cryptography;
using Xunit;

namespace Evenkeel.EndToEnd.Backup;

/// <summary>Debian's restic and our own commands against our repository server.</summary>
[Trait("peer", "restic"), Trait("Machine", "shared"), Trait("Turn", "1")]
public sealed class ServerTests : IDisposable
{
    private readonly Workplace _place = new();

    [Fact]
    public void Server_ForResticAndForUs_HoldsTheSameRepository()
    {
        SourceSample.Make(_place);
        using var server = new ServerProcess(_place.Root + "/served", "--no-password");
        var place = server.Place("any/name");
        Restic(place, "init");
        Restic(place, "backup", _place.Source);
        Ours(place, "run", _place.Source);
        Restic(place, "check", "--read-data");
        Assert.Contains("no problem found", Ours(place, "verify", "--all"), StringComparison.Ordinal);
        Restic(place, "forget", "--keep-last", "1", "--prune");
        Ours(place, "restore", "latest", "--target", _place.Root + "/out");
        Assert.Equal(SourceSample.Describe(_place, _place.Source), SourceSample.Describe(_place, _place.Root + "/out" + _place.Source));
        Restic(_place.Root + "/served/any/name", "check", "--read-data");
    }

    [Fact]
    public void AppendOnlyAndPrivate_UsersAddAndRead_AndOnlyMaintenanceRemoves()
    {
        _place.Shell($"echo x > {_place.Source}/x; cd {_place.Root}; htpasswd -Bbc users alice secret; htpasswd -Bb users bob secret; htpasswd -Bbc keepers keeper other");
        using var server = new ServerProcess(_place.Root + "/served",
            "--password-file", _place.Root + "/users", "--maintenance-password-file", _place.Root + "/keepers", "--append-only", "--private");
        var alice = server.Place("alice/files", "alice");
        Ours(alice, "init");
        Restic(alice, "backup", _place.Source);
        _place.Shell($"echo y > {_place.Source}/y");
        Ours(alice, "run", _place.Source);
        Restic(alice, "check", "--read-data");

        Assert.Equal(4, TryOurs(server.Place("alice/files", "bob"), "list").Code);
        Assert.Equal(4, TryOurs(server.Place("alice/files", "alice", "wrong"), "list").Code);
        Assert.Equal(4, TryOurs(server.Place("alice/files"), "list").Code);
        var refused = TryOurs(alice, "forget", "--keep-last", "1");
        Assert.Equal(4, refused.Code);
        Assert.Contains("append-only", refused.Error, StringComparison.Ordinal);
        Assert.Contains("403", TryRestic(alice, "forget", "--keep-last", "1").Error, StringComparison.Ordinal);
        Assert.Equal(2, Ours(alice, "list").Split('\n').Count(l => l.Contains(_place.Source, StringComparison.Ordinal)));

        Ours(server.Place("alice/files", "keeper", "other"), "forget", "--keep-last", "1", "--prune");
        Assert.Single(Ours(alice, "list").Split('\n'), l => l.Contains(_place.Source, StringComparison.Ordinal));
        Restic(alice, "check", "--read-data");
    }

    [Fact]
    public void Tls_WithAnAuthorityOfOnesOwn_WorksForResticAndForUs_AndNotWithoutIt()
    {
        _place.Shell($"""
            cd {_place.Root}; echo x > {_place.Source}/x
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 2>/dev/null
            """);
        using var server = new ServerProcess(_place.Root + "/served",
            "--no-password", "--tls-certificate", _place.Root + "/cert.pem", "--tls-key", _place.Root + "/key.pem");
        var place = server.Place("files");
        Assert.StartsWith("rest:https://", place, StringComparison.Ordinal);
        Assert.Equal(1, TryOurs(place, "list").Code);
        Ours(place, "init", "--ca-file", _place.Root + "/cert.pem");
        Ours(place, "run", _place.Source, "--ca-file", _place.Root + "/cert.pem");
        Restic(place, "check", "--read-data", "--cacert", _place.Root + "/cert.pem");
    }

    [Fact]
    public void Quota_UsedUp_FailsPlainly_AndWhatWasThereStaysSound()
    {
        using var server = new ServerProcess(_place.Root + "/served", "--no-password", "--quota", "8MiB");
        var place = server.Place("files");
        Ours(place, "init");
        _place.Shell($"head -c 3000000 /dev/urandom > {_place.Source}/small");
        Ours(place, "run", _place.Source);
        _place.Shell($"head -c 9000000 /dev/urandom > {_place.Source}/large");
        var full = TryOurs(place, "run", _place.Source);
        Assert.Equal(1, full.Code);
        Assert.Contains("quota", full.Error, StringComparison.Ordinal);
        _place.Shell($"rm {_place.Source}/large; head -c 1000000 /dev/urandom > {_place.Source}/fits");
        Ours(place, "run", _place.Source);
        Restic(place, "check", "--read-data");
    }

    [Fact]
    public void ConnectionLostMidPack_IsTriedAgain_AndNothingHalfIsStored()
    {
        using var server = new ServerProcess(_place.Root + "/served", "--no-password");
        using var proxy = new CuttingProxy(server.Address, cuts: 2);
        var place = $"rest:http://127.0.0.1:{proxy.Port}/files";
        Ours(place, "init");
        _place.Shell($"head -c 5000000 /dev/urandom > {_place.Source}/large");
        Ours(place, "run", _place.Source);
        Assert.True(proxy.CutsLeft <= 0, "the proxy never cut");
        Restic(server.Place("files"), "check", "--read-data");
        Assert.Equal("", _place.Shell($"find {_place.Root}/served -name '*tmp*'"));
    }

    [Fact]
    public async Task Upload_UnderAnotherHash_IsRefused_AndADamagedFileIsMendedByTheRightContent()
    {
        using var server = new ServerProcess(_place.Root + "/served", "--no-password", "--append-only");
        using var client = new HttpClient { BaseAddress = server.Address };
        var cancellation = TestContext.Current.CancellationToken;
        Assert.Equal(HttpStatusCode.OK, (await client.PostAsync("/r/?create=true", null, cancellation)).StatusCode);
        byte[] content = [1, 2, 3];
        var name = Convert.ToHexStringLower(SHA256.HashData(content));
        Assert.Equal(HttpStatusCode.BadRequest, (await PostAsync([1, 2, 4])).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await client.GetAsync($"/r/data/{name}", cancellation)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await PostAsync(content)).StatusCode);
        await File.WriteAllBytesAsync($"{_place.Root}/served/r/data/{name[..2]}/{name}", [9, 9, 9], cancellation);
        Assert.Equal(HttpStatusCode.OK, (await PostAsync(content)).StatusCode);
        Assert.Equal(content, await client.GetByteArrayAsync($"/r/data/{name}", cancellation));
        Assert.Equal(HttpStatusCode.Forbidden, (await client.DeleteAsync($"/r/data/{name}", cancellation)).StatusCode);
        await File.WriteAllTextAsync(_place.Root + "/config", "not served", cancellation);
        foreach (var outside in new[] { "/../config", "/r/../../config", "/../../etc/passwd", "/r/%2e%2e/%2e%2e/config", "/r/data/..%2f..%2fconfig", "/.hidden/config" })
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(server.Address + outside[1..], new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
            Assert.False((await client.SendAsync(request, cancellation)).IsSuccessStatusCode, outside);
        }

        Task<HttpResponseMessage> PostAsync(byte[] body) => client.PostAsync($"/r/data/{name}", new ByteArrayContent(body), cancellation);
    }

    [Fact]
    public void Forget_BackdatedAndFutureSnapshots_PushNoGoodOnesOut()
    {
        using var server = new ServerProcess(_place.Root + "/served", "--no-password");
        var place = server.Place("files");
        Restic(place, "init");
        _place.Shell($"echo good > {_place.Source}/file");
        Restic(place, "backup", _place.Source);
        // An intruder writes snapshots that claim other days, the newest far in the future.
        foreach (var time in new[] { "2040-01-01 10:00:00", "2040-01-02 10:00:00", "2020-05-05 05:05:05" })
        {
            Restic(place, "backup", "--time", time, _place.Source);
        }
        var decisions = Ours(place, "forget", "--keep-daily", "1");
        Assert.Equal(3, decisions.Split('\n').Count(l => l.Contains("held: it says", StringComparison.Ordinal)));
        Assert.DoesNotContain("remove", decisions, StringComparison.Ordinal);
        Assert.Equal(3, Ours(place, "forget", "--keep-daily", "1", "--trust-times").Split('\n').Count(l => l.StartsWith("remove", StringComparison.Ordinal)));
    }

    public void Dispose() => _place.Dispose();

    private string Restic(string place, params string[] arguments) => _place.Run("restic", ["-r", place, "--no-cache", .. arguments]);

    // restic tries a refusal again for minutes; its first words are enough.
    private (int Code, string Output, string Error) TryRestic(string place, params string[] arguments) =>
        _place.TryRun("timeout", ["10", "restic", "-r", place, "--no-cache", .. arguments]);

    private string Ours(string place, string command, params string[] arguments) =>
        _place.Run(BackupProgram.Path, ["backup", command, .. arguments, "--repository", place]);

    private (int Code, string Output, string Error) TryOurs(string place, string command, params string[] arguments) =>
        _place.TryRun(BackupProgram.Path, ["backup", command, .. arguments, "--repository", place]);
}
