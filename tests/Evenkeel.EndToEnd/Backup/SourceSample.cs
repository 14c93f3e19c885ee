namespace Evenkeel.EndToEnd.Backup;

/// <summary>A source with everything that a Linux directory can hold.</summary>
internal static class SourceSample
{
    public static void Make(Workplace place) => place.Shell($"""
        cd {place.Source}
        mkdir -p sub/deep empty-dir 'name with space'
        echo hello > small; : > empty; ln small hard; ln -s small link; ln -s /does/not/exist dangling
        mkfifo pipe; mknod null c 1 3; mknod disk b 7 1
        head -c 3000000 /dev/urandom > random; yes "line of text" | head -c 20000000 > text || true
        head -c 5000000 /dev/urandom > sub/big; cat random sub/big > sub/deep/both
        truncate -s 40M sparse; printf tail >> sparse
        printf x > "$(printf 'bad\xff\xfename')"; printf y > "$(printf 'new\nline"quote\\back<&>')"; printf z > 'ünïcödé→😀'; printf w > "$(printf 'sep\xe2\x80\xa8')"
        setfattr -n user.one -v two small; setfattr -n user.empty -v '' sub; setfacl -m u:daemon:r,g:games:rw small; setfacl -d -m u:daemon:rx sub
        chmod 4755 sub/big; chmod 1777 empty-dir; chown 1234:daemon random; touch -h -d '2001-02-03 04:05:06.123456789' link
        touch -d '1965-01-02 03:04:05.000000001' text; touch -d '2030-05-06 07:08:09.1' sub/deep
        """);

    /// <summary>Types, modes, owners, sizes, times, targets, links, attributes and contents as one comparable text.</summary>
    public static string Describe(Workplace place, string directory) => place.Shell($$"""
        cd {{directory}}
        find . -printf '%P|%y|%m|%U|%G|%T@|%l|%n|' \( -type f -printf '%s' -o -true \) -printf '\n' | LC_ALL=C sort
        find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
        getfattr -R -h -d -m - --absolute-names . | LC_ALL=C sort
        """);
}
