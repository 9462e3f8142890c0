#include "client/report/html.h"

#include "gtest/gtest.h"
#include "tests/client/attack/test_pictures.h"

namespace attune::client {
namespace {

TEST(Html, TextAndAttributesAreEscaped) {
  HtmlWriter html;
  html.Open("p", {{"title", "a \"b\" & <c>"}});
  html.Text("<script>alert('1 & 2')</script>");
  html.Close();
  EXPECT_EQ(html.html(),
            "<p title=\"a &quot;b&quot; &amp; &lt;c&gt;\">"
            "&lt;script&gt;alert(&#39;1 &amp; 2&#39;)&lt;/script&gt;</p>\n");
}

TEST(Html, ElementsAreClosedFromTheInside) {
  HtmlWriter html;
  html.Open("div");
  html.Empty("img", {{"alt", ""}});
  html.Element("p", "x", {{"class", "y"}});
  html.Close();
  EXPECT_EQ(html.html(), "<div><img alt=\"\"/><p class=\"y\">x</p>\n</div>\n");
}

TEST(Html, ADataUriNamesThePicturesType) {
  EXPECT_EQ(DataUri(*image::EncodePng(GreyPicture(1, 1))).substr(0, 22),
            "data:image/png;base64,");
  EXPECT_EQ(DataUri(*image::EncodeJpeg(GreyPicture(1, 1), 90)).substr(0, 27),
            "data:image/jpeg;base64,/9j/");
}

}  // namespace
}  // namespace attune::client
