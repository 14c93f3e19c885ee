using Xunit;

namespace Evenkeel.EndToEnd.Backup;

/// <summary>A repository in a bucket, shared with Debian's restic. Over TLS: without, restic signs chunk by chunk, which this server stores as it comes.</summary>
[Trait("peer", "s3rver"), Trait("peer", "restic"), Trait("Machine", "shared"), Trait("Turn", "2")]
public sealed class S3Tests : IDisposable
{
    private readonly Workplace _place = new();
    private readonly S3Server _server;

    public S3Tests()
    {
        _place.Shell($"cd {_place.Root}; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 2>/dev/null");
        _server = new S3Server(_place.Root + "/s3", (_place.Root + "/cert.pem", _place.Root + "/key.pem"));
        File.WriteAllText(_place.Root + "/credentials", $"{S3Server.Key}:{S3Server.Secret}\n");
    }

    [Fact]
    public void Repository_InABucket_IsSharedWithRestic()
    {
        SourceSample.Make(_place);
        Ours("init");
        Ours("run", _place.Source);
        Restic("check", "--read-data");
        Restic("backup", _place.Source);
        Ours("forget", "--keep-last", "1", "--prune");
        Restic("check", "--read-data");
        Assert.Contains("no problem found", Ours("verify", "--all"), StringComparison.Ordinal);
        Ours("restore", "latest", "--target", _place.Root + "/out");
        Assert.Equal(SourceSample.Describe(_place, _place.Source), SourceSample.Describe(_place, _place.Root + "/out" + _place.Source));
    }

    [Fact]
    public void UnknownKeyNoTrustAndNobodyThere_AreSaidPlainly()
    {
        Ours("init");
        File.WriteAllText(_place.Root + "/credentials", "SOMEBODY:else\n");
        var refused = TryOurs("list");
        Assert.Equal(4, refused.Code);
        Assert.Contains("check key, secret", refused.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", refused.Error, StringComparison.Ordinal);
        File.WriteAllText(_place.Root + "/credentials", "nonsense\n");
        Assert.Equal(3, TryOurs("list").Code);
        File.WriteAllText(_place.Root + "/credentials", $"{S3Server.Key}:{S3Server.Secret}\n");
        Assert.Equal(1, _place.TryRun(BackupProgram.Path, ["backup", "list", "--repository", Location, "--credentials-file", _place.Root + "/credentials"]).Code);
        _server.Dispose();
        var away = TryOurs("list");
        Assert.Equal(1, away.Code);
        Assert.Contains("onnection refused", away.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void BackdatedSnapshots_PushNoGoodOnesOut_ByTheBucketsOwnTimes()
    {
        Ours("init");
        _place.Shell($"echo good > {_place.Source}/file");
        Ours("run", _place.Source);
        Restic("backup", "--time", "2040-01-01 10:00:00", _place.Source);
        var decisions = Ours("forget", "--keep-daily", "1");
        Assert.Contains("held: it says 2040-01-01", decisions, StringComparison.Ordinal);
        Assert.DoesNotContain("remove", decisions, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        try
        {
            _server.Dispose();
        }
        catch (InvalidOperationException)
        {
            // A test ended it.
        }
        _place.Dispose();
    }

    private string Location => _server.Place("backups/files");

    private string Ours(string command, params string[] arguments)
    {
        var (code, output, error) = TryOurs(command, arguments);
        return code == 0 ? output : throw new InvalidOperationException($"{command} ended with {code}:\n{output}\n{error}");
    }

    private (int Code, string Output, string Error) TryOurs(string command, params string[] arguments) =>
        _place.TryRun(BackupProgram.Path, ["backup", command, .. arguments, "--repository", Location, "--credentials-file", _place.Root + "/credentials", "--ca-file", _place.Root + "/cert.pem"]);

    private void Restic(params string[] arguments) => _place.Run("env",
        [$"AWS_ACCESS_KEY_ID={S3Server.Key}", $"AWS_SECRET_ACCESS_KEY={S3Server.Secret}", "restic", "-r", Location, "--no-cache", "--cacert", _place.Root + "/cert.pem", .. arguments]);
}
