using System.CommandLine;

namespace Evenkeel.Cli.Commands;

/// <summary><c>completion SHELL</c>: a script that asks this program, through its suggest directive, what may come next.</summary>
internal static class CompletionCommand
{
    public static Command Create()
    {
        var shell = new Argument<string>("SHELL") { Description = "bash, zsh or fish." };
        shell.AcceptOnlyFromAmong("bash", "zsh", "fish");
        var command = new DescribedCommand("completion", "Prints a completion script for a shell.", """
            Install it once; it asks the program itself what may come next, so it never goes stale.
              bash:  evenkeel completion bash > ~/.local/share/bash-completion/completions/evenkeel
              zsh:   evenkeel completion zsh > "${fpath[1]}/_evenkeel"
              fish:  evenkeel completion fish > ~/.config/fish/completions/evenkeel.fish
            """)
        { shell };
        command.SetAction(parsed => parsed.InvocationConfiguration.Output.Write(Script(parsed.GetRequiredValue(shell))));
        return command;
    }

    private static string Script(string shell) => shell switch
    {
        "bash" => """
            # bash completion for evenkeel
            _evenkeel() {
                local line=${COMP_LINE:0:COMP_POINT}
                local words
                words=$("${COMP_WORDS[0]}" "[suggest:${#line}]" "$line" 2>/dev/null)
                mapfile -t COMPREPLY < <(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}")
                # No suggestion: an argument that names a file.
                [ ${#COMPREPLY[@]} -gt 0 ] || mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
            }
            complete -o filenames -F _evenkeel evenkeel ./evenkeel

            """,
        "zsh" => """
            #compdef evenkeel
            _evenkeel() {
                local line="${words[1,CURRENT]}"
                local -a candidates
                candidates=("${(@f)$(${words[1]} "[suggest:${#line}]" "$line" 2>/dev/null)}")
                compadd -a candidates || _files
            }
            # Autoloaded from fpath this file is the function's first run; sourced, it only registers it.
            if [ "${funcstack[1]}" = "_evenkeel" ]; then _evenkeel "$@"; else compdef _evenkeel evenkeel; fi

            """,
        _ => """
            # fish completion for evenkeel
            function __evenkeel_suggest
                set -l line (commandline -cp)
                evenkeel "[suggest:"(string length -- $line)"]" "$line" 2>/dev/null
            end
            complete -c evenkeel -a '(__evenkeel_suggest)'

            """,
    };
}
