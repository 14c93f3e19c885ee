using Evenkeel.Agent.Enrolment;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Enrolment;

public sealed class TokenBookTests : IDisposable
{
    private static readonly NodeName n2 = new("n2"), n3 = new("n3");
    private readonly DirectoryInfo _place = Directory.CreateTempSubdirectory("evenkeel-tokens-");
    private readonly HandClock _time = new();

    private string BookFile => Path.Combine(_place.FullName, "tokens.json");
    // Anew each time, as after an agent's restart.
    private TokenBook Book => new(BookFile, _time);

    [Fact]
    public void Take_OfItsNode_IsGoodOnce()
    {
        var token = Book.Issue(n2, TimeSpan.FromHours(1));
        Assert.Null(Book.Take(n2, token));
        Assert.Contains("used before", Book.Take(n2, token), StringComparison.Ordinal);
    }

    [Fact]
    public void Take_OfAnotherNode_IsRefusedAndKeepsTheTokenForItsOwn()
    {
        var token = Book.Issue(n2, TimeSpan.FromHours(1));
        Assert.Contains("for n2", Book.Take(n3, token), StringComparison.Ordinal);
        Assert.Null(Book.Take(n2, token));
    }

    [Fact]
    public void Take_AfterItsLifetime_IsRefusedForGood()
    {
        var token = Book.Issue(n2, TimeSpan.FromMinutes(10));
        _time.Advance(TimeSpan.FromMinutes(10));
        Assert.Contains("expired", Book.Take(n2, token), StringComparison.Ordinal);
        Assert.Contains("unknown", Book.Take(n2, token), StringComparison.Ordinal);
    }

    [Fact]
    public void Cancel_EndsTheTokenOfThatNodeAlone()
    {
        var (token, other) = (Book.Issue(n2, TimeSpan.FromHours(1)), Book.Issue(n3, TimeSpan.FromHours(1)));
        Book.Cancel(n2);
        Assert.NotNull(Book.Take(n2, token));
        Assert.Null(Book.Take(n3, other));
    }

    [Fact]
    public void Issue_Again_EndsTheOlderTokenOfThatNodeAlone()
    {
        var (old, other) = (Book.Issue(n2, TimeSpan.FromHours(1)), Book.Issue(n3, TimeSpan.FromHours(1)));
        var token = Book.Issue(n2, TimeSpan.FromHours(1));
        Assert.NotNull(Book.Take(n2, old));
        Assert.Null(Book.Take(n2, token));
        Assert.Null(Book.Take(n3, other));
    }

    [Fact]
    public void Issue_WritesNoTokenAndLetsNobodyElseRead()
    {
        var token = Book.Issue(n2, TimeSpan.FromHours(1));
        Assert.DoesNotContain(token, File.ReadAllText(BookFile), StringComparison.Ordinal);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(BookFile));
    }

    [Fact]
    public void Take_FromASpoiltBook_IsRefused()
    {
        var token = Book.Issue(n2, TimeSpan.FromHours(1));
        File.WriteAllText(BookFile, "[{");
        Assert.NotNull(Book.Take(n2, token));
    }

    [Fact]
    public async Task Take_ByManyAtOnce_IsGoodForOne()
    {
        var book = Book;
        var token = book.Issue(n2, TimeSpan.FromHours(1));
        var answers = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(() => book.Take(n2, token))));
        Assert.Single(answers, answer => answer is null);
    }

    private sealed class HandClock : TimeProvider
    {
        private DateTimeOffset _now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

        public override DateTimeOffset GetUtcNow() => _now;

        public void Advance(TimeSpan by) => _now += by;
    }

    public void Dispose() => _place.Delete(recursive: true);
}
