using Evenkeel.Backup;

namespace Evenkeel.Cli.Backup;

/// <summary>Turns a repository's failures into exit codes and advice.</summary>
internal static class Outcome
{
    public static async Task<int> OfAsync(Func<Task<int>> action)
    {
        try
        {
            return await action().ConfigureAwait(false);
        }
        catch (RepositoryException e)
        {
            throw new CommandFailedException(Code(e.Error), e.Message, Advice(e.Error));
        }
    }

    private static int Code(RepositoryError error) => error switch
    {
        RepositoryError.Missing or RepositoryError.WrongPassword or RepositoryError.UnknownFormat => ExitCode.Configuration,
        RepositoryError.Exists or RepositoryError.Locked or RepositoryError.Refused => ExitCode.Refused,
        _ => ExitCode.Failed,
    };

    public static string? Advice(RepositoryError error) => error switch
    {
        RepositoryError.Missing => "Make one with 'evenkeel backup init'.",
        RepositoryError.Locked => "Wait for it; a lock whose holder died goes away by itself (at once on its machine, elsewhere after 30 minutes).",
        RepositoryError.Damaged => "Run 'evenkeel backup verify --all' to learn what is lost and what is not.",
        RepositoryError.Full => "Free space, or let 'evenkeel backup forget --prune' do it; what was backed up before is intact.",
        _ => null,
    };
}
