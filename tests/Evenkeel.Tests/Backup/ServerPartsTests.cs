using Evenkeel.Backup;
using Evenkeel.Backup.Backends;
using Evenkeel.Backup.Server;
using Xunit;

namespace Evenkeel.Tests.Backup;

public sealed class ServerPartsTests
{
    private const string Name = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    [Theory]
    [InlineData("/config", "", FileKind.Config, "config")]
    [InlineData("/a/b/config", "a/b", FileKind.Config, "config")]
    [InlineData("/a/data/", "a", FileKind.Pack, null)]
    [InlineData("/a/data/" + Name, "a", FileKind.Pack, Name)]
    [InlineData("/locks/" + Name, "", FileKind.Lock, Name)]
    [InlineData("/a/b/", "a/b", null, null)]
    public void Parse_Paths_MeanRepositoryKindAndName(string path, string repository, FileKind? kind, string? name)
    {
        var parsed = RepositoryPath.Parse(path)!;
        Assert.Equal((repository, kind, name), (string.Join('/', parsed.Repository), parsed.Kind, parsed.Name));
    }

    [Theory]
    [InlineData("/../config")]
    [InlineData("/a/../b/config")]
    [InlineData("/.ssh/config")]
    [InlineData("/a/data/short")]
    [InlineData("/a/keys/../../config")]
    [InlineData("/a\0b/config")]
    [InlineData("/data/data/config")]
    [InlineData("/1/2/3/4/5/6/7/8/config")]
    public void Parse_PathsThatLeadElsewhere_AreNone(string path) => Assert.Null(RepositoryPath.Parse(path));

    [Fact]
    public void Location_WithCredentials_ShowsThemNowhere()
    {
        var location = RestLocation.Parse("rest:https://user:p%40ss@host:8000/a/b");
        Assert.Equal("https://host:8000/a/b/", location.Address.ToString());
        Assert.Equal(("user", "p@ss"), (location.Credential!.UserName, location.Credential.Password));
        Assert.DoesNotContain("secret", Assert.Throws<FormatException>(() => RestLocation.Parse("rest:ftp://u:secret@host/")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task PasswordFile_ThatChanges_IsReadAgain()
    {
        var file = Path.GetTempFileName();
        try
        {
            // 'secret' and 'other', made with htpasswd -nbB -C 4
            await File.WriteAllTextAsync(file, "# users\nalice:$2y$04$g1MlcbXdFJQ7ryhLlVOxz.es1EDGfkfqIyRqaAL3QpsvbuR8HIQFi\n", TestContext.Current.CancellationToken);
            var passwords = new PasswordFile(file, TimeProvider.System);
            Assert.True(passwords.IsRight("alice", "secret"));
            Assert.True(passwords.IsRight("alice", "secret"));
            Assert.False(passwords.IsRight("alice", "other"));
            Assert.False(passwords.IsRight("bob", "secret"));
            await File.WriteAllTextAsync(file, "alice:$2y$04$SV3J5RvZhDQnKUPTVuOtIezwL/0Dw9XFwXcYL2sAHIuQj7S5h4oN.\n", TestContext.Current.CancellationToken);
            File.SetLastWriteTimeUtc(file, DateTime.UtcNow.AddSeconds(5));
            Assert.False(passwords.IsRight("alice", "secret"));
            Assert.True(passwords.IsRight("alice", "other"));
            await File.WriteAllTextAsync(file, "alice:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n", TestContext.Current.CancellationToken);
            Assert.Equal(RepositoryError.UnknownFormat, Assert.Throws<RepositoryException>(() => new PasswordFile(file, TimeProvider.System)).Error);
        }
        finally
        {
            File.Delete(file);
        }
    }
}
